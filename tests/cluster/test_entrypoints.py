"""What the files of cluster/ run on a cluster is run here, on small data, as a plan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from manifests import CLUSTER, ROOT, entrypoints
from ray.cluster_utils import Cluster
from ray.scripts.scripts import start
from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

from medcolor.config import load_settings

pytestmark = [pytest.mark.timeout(560), pytest.mark.xdist_group("ray")]
on_ray = pytest.mark.ray
# Where tests run there may be no GPU, two cores, and little time.
HERE = ["--set=compute.device=cpu", "--set=features.working_size_px=64", "--workers=1"]


@pytest.fixture(scope="module")
def cluster():
    """Return the address of a Ray of one node, as a job is told it."""
    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "include_dashboard": False,
            "object_store_memory": 80_000_000,
        },
    )
    yield made.address
    made.shutdown()


@pytest.fixture
def environment(tmp_path):
    """The variables of an image: its Python on the PATH, this repository's package in it."""
    binaries = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MEDCOLOR_CACHE": str(tmp_path / "cache"),
    }


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_settings_they_name_are_sound():
    for words in entrypoints().values():
        (name,) = [word for word in words if word.endswith("configs/whole_body.yaml")]
        assert load_settings(ROOT / name.removeprefix("--config=")) != load_settings(None)


def with_data(words, target, references, output):
    """Put made-up data in place of the three places that an entrypoint names."""
    python, script, *rest = words
    assert python == "python"
    assert len([word for word in rest[:3] if not word.startswith("-")]) == 3
    return [python, script, *map(str, (target, references, output)), *rest[3:]]


def run_plan(words, environment, cluster):
    done = subprocess.run(
        [*words, *HERE, "--plan"],
        cwd=ROOT,
        env=environment | {"RAY_ADDRESS": cluster},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@on_ray
def test_the_entrypoint_of_the_whole_body_run_plans(
    cluster, scan, photographs, environment, tmp_path
):
    before = files(tmp_path)
    words = with_data(entrypoints()["rayjob.yaml"], scan, photographs, tmp_path / "out.ome.zarr")
    assert run_plan(words, environment, cluster).strip()
    assert [path for path in files(tmp_path) if "cache" not in path.parts] == before


@on_ray
def test_the_entrypoint_of_the_nightly_run_plans(cluster, scan, photographs, environment, tmp_path):
    manifest = tmp_path / "cohort.yaml"
    manifest.write_text(yaml.safe_dump({"volumes": [{"name": "a", "target": str(scan)}]}))
    before = files(tmp_path)
    words = with_data(entrypoints()["nightly.yaml"], manifest, photographs, tmp_path / "out")
    assert run_plan(words, environment, cluster).strip()
    assert [path for path in files(tmp_path) if "cache" not in path.parts] == before


STAND_IN = """#!/usr/bin/env bash
# srun without a cluster: keep the words, run what symmetric-run would run on the head, on the
# Ray at $ADDRESS_HERE, which asks for no token.
printf '%s\\n' "$@" >"$SRUN_WORDS"
while [ "$1" != -- ]; do shift; done
shift
unset RAY_ADDRESS RAY_AUTH_MODE
${ADDRESS_HERE:+env RAY_ADDRESS="$ADDRESS_HERE"} "$@"
"""


@pytest.fixture
def slurm(environment, tmp_path):
    """Return a function that runs the batch script as the first of two nodes would."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "srun").write_text(STAND_IN)
    (folder / "srun").chmod(0o755)
    submitted = tmp_path / "submitted"
    submitted.mkdir()
    for name in ("jobs", "configs"):
        (submitted / name).symlink_to(ROOT / name)
    variables = environment | {
        "PATH": f"{folder}{os.pathsep}{environment['PATH']}",
        "SRUN_WORDS": str(folder / "words"),
        "SLURM_SUBMIT_DIR": str(submitted),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "3",
        "SLURM_GPUS_ON_NODE": "1",
    }

    def submit(*words, **more):
        return subprocess.run(
            ["bash", CLUSTER / "slurm" / "colorize.sbatch", *map(str, words)],
            env=variables | more,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )

    submit.words = folder / "words"
    submit.run = submitted / "out" / "slurm" / "7"
    submit.srun = folder / "srun"
    return submit


@on_ray
def test_the_batch_script_plans(cluster, slurm, scan, photographs, tmp_path):
    words = (scan, photographs, tmp_path / "out.ome.zarr", *HERE, "--plan")
    done = slurm(*words, ADDRESS_HERE=cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert not (tmp_path / "out.ome.zarr").exists()


def test_the_batch_script_starts_ray_with_options_that_ray_knows(slurm):
    slurm("--help")
    words = slurm.words.read_text().splitlines()
    words = words[words.index("ray") + 1 : words.index("--")]
    assert words[0] == "symmetric-run"
    taken = start.make_context("start", curate_and_validate_ray_start_args(words[1:])).params
    assert taken["num_cpus"] == 3
    assert taken["num_gpus"] == 1
    address = words[words.index("--address") + 1]
    assert not address.startswith("127."), "each node would take itself for the head"
    assert words[words.index("--min-nodes") + 1] == "2"


def test_the_batch_script_ends_as_its_command_does(slurm):
    assert slurm("--help").returncode == 0
    assert slurm("--no-such-option").returncode == 2
    token = slurm.run / "token"
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o077 == 0


def test_the_batch_script_fails_where_ray_did_not_start(slurm):
    slurm.srun.write_text("#!/bin/sh\nexit 0\n")  # as symmetric-run ends when `ray start` failed
    assert slurm("--help").returncode == 1
