"""cluster/local.sh, behind the make targets: a Ray of this machine, submitting, scheduling."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import make_photographs, make_scan
from hostile import make_ground, names, untouched
from manifests import CLUSTER, ROOT
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.run.threads import usable_cores

pytestmark = [pytest.mark.timeout(560), pytest.mark.xdist_group("ray")]
on_ray = pytest.mark.ray
QUICK = "features: {working_size_px: 64}\nstore: {slab_slices: 4, chunk: [4, 16, 16]}\n"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Return a function that runs the script with its state in a folder of this test."""
    state = tmp_path_factory.mktemp("state")
    binaries = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    kept |= {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MEDCOLOR_CLUSTER": str(state),
    }

    def run(command, **variables):
        named = {name: str(value) for name, value in variables.items()}
        if "PATH" in named:
            named["PATH"] += os.pathsep + kept["PATH"]
        return subprocess.run(
            [CLUSTER / "local.sh", command],
            env=kept | named,
            capture_output=True,
            text=True,
            check=False,
        )

    run.state, run.environment = state, kept
    yield run
    done = run("down")
    assert done.returncode == 0, done.stderr
    assert bearers("MEDCOLOR_CLUSTER", state) == []


def bearers(name, value):
    """Return the living processes that bear a variable: who was started with it, or below."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if one.environ().get(name) == str(value) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


@pytest.fixture(scope="module")
def started(local):
    """Return `local` with a Ray of two nodes: one for all, since starting it takes ten seconds."""
    done = local("up", NODES=2)
    assert done.returncode == 0, done.stderr
    return local


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """As many slabs as workers."""
    folder = tmp_path_factory.mktemp("inputs")
    scan = make_scan(folder / "t1.nii", slices=4 * (usable_cores() + 1))
    return scan, make_photographs(folder / "photographs")


@on_ray
def test_a_job_on_two_nodes_writes_the_bytes_of_one_process(started, inputs, tmp_path):
    here, there = tmp_path / "here.ome.zarr", tmp_path / "there.ome.zarr"
    config = tmp_path / "quick.yaml"
    config.write_text(QUICK)
    medcolor.colorize_volume(*inputs, here, settings=load_settings(config))
    scan = Path(os.path.relpath(inputs[0], ROOT))  # the job runs in another folder
    done = started("job", TARGET=scan, REFERENCES=inputs[1], OUTPUT=there, CONFIG=config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree_bytes(here) == tree_bytes(there)
    assert len((started.state / "pid").read_text().split()) == 2
    record = json.loads((there.with_name(f"{there.name}.run") / "run.json").read_text())
    assert record["runner"] == {
        "kind": "RayRunner", "workers": usable_cores() + 1, "threads": 1
    }  # fmt: skip


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@on_ray
def test_a_second_night_does_nothing(started, scan, photographs, tmp_path):
    cohort, out = tmp_path / "cohort.yaml", tmp_path / "out"
    cohort.write_text(yaml.safe_dump({"volumes": [{"name": "a", "target": str(scan)}]}))
    config = tmp_path / "quick.yaml"
    config.write_text(QUICK)
    night = {"MANIFEST": cohort, "REFERENCES": photographs, "OUTPUT": out, "CONFIG": config}
    medcolor.colorize_cohort(cohort, photographs, out, settings=load_settings(config))
    written = times(out / "a.ome.zarr")
    second = started("nightly", **night)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "1 kept" in second.stdout
    assert times(out / "a.ome.zarr") == written


@on_ray
def test_starting_again_changes_nothing(started):
    pid = (started.state / "pid").read_text()
    done = started("up")
    assert done.returncode == 0
    assert "runs already" in done.stdout
    assert (started.state / "pid").read_text() == pid


@on_ray
def test_the_token_is_the_users_alone(started):
    assert (started.state / "token").stat().st_mode & 0o077 == 0


@on_ray
def test_ending_it_leaves_no_process_and_no_other_touched(started):
    tops = [psutil.Process(int(pid)) for pid in (started.state / "pid").read_text().split()]
    family = [one for top in tops for one in (top, *top.children(recursive=True))]
    temp = Path((started.state / "temp").read_text().strip())
    assert len(family) > 3
    with subprocess.Popen(["bash", "-c", "exec -a 'ray start --head' sleep 600"]) as other:
        assert started("down").returncode == 0
        assert other.poll() is None
        other.kill()
    assert [one for one in family if one.is_running() and one.status() != "zombie"] == []
    assert not temp.exists()
    assert "No Ray" in started("down").stdout


@on_ray
def test_a_head_that_dies_while_it_starts_is_told_at_once_and_nothing_is_left(local):
    done = []
    begin = threading.Thread(target=lambda: done.append(local("up", NODES=2)))
    begin.start()
    while not (pids := (local.state / "pid").read_text() if (local.state / "pid").exists() else ""):
        assert begin.is_alive()
        time.sleep(0.05)
    psutil.Process(int(pids.split()[0])).kill()
    begin.join()
    assert done[0].returncode == 2
    assert "Ray did not start within" in done[0].stderr
    assert bearers("MEDCOLOR_CLUSTER", local.state) == []
    assert "No Ray" in local("down").stdout


FOLDER, ANOTHER = (f"/tmp/medcolor-ray.{secrets.token_hex(3)}" for _ in range(2))


class StandIn:
    """Processes in place of a Ray, and the state that would name them."""

    def __init__(self, local):
        self.local, self.tops = local, []

    def start(self, words, *, title="ray start --head", **variables):
        """Start a shell in a session of its own; it says when it has come as far as `ready`."""
        command = ["bash", "-c", f"exec -a '{title}' bash -c '{words}; echo ready; read'"]
        environment = self.local.environment | variables
        top = subprocess.Popen(command, env=environment, start_new_session=True, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        self.tops.append(top)
        assert top.stdout.readline() == "ready\n"
        return top

    def note(self, pid, folder=FOLDER):
        """Write the state that `up` would."""
        for name, text in {"pid": pid, "temp": folder, "address": "http://there:1"}.items():
            (self.local.state / name).write_text(f"{text}\n")


@pytest.fixture
def stand_in(local):
    made = StandIn(local)
    yield made
    for top in made.tops:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(top.pid, signal.SIGKILL)
        top.wait()
    for name in ("pid", "temp", "address"):
        (local.state / name).unlink(missing_ok=True)


def test_a_ray_that_runs_is_seen_to_run_however_ps_ends(stand_in, tmp_path):
    """Under load `ps` was killed by SIGPIPE, and a cluster that ran was forgotten."""
    ps = tmp_path / "ps"
    ps.write_text("#!/bin/sh\nfor n in $(seq 20000); do echo ray start --head; done\n")
    ps.chmod(0o755)
    top = stand_in.start("true", MEDCOLOR_RAY=FOLDER)
    stand_in.note(top.pid)
    done = stand_in.local("up", PATH=tmp_path)
    assert done.stdout == "It runs already: http://there:1\n"
    assert stand_in.local("down", PATH=tmp_path).stdout == "Ray has ended\n"
    assert top.wait() == -signal.SIGKILL


def test_a_process_that_got_the_number_of_an_ended_ray_is_let_be(stand_in):
    top = stand_in.start("true")
    other = stand_in.start("true", MEDCOLOR_RAY=ANOTHER)
    for pid in (top.pid, other.pid):
        stand_in.note(pid)
        assert "No Ray" in stand_in.local("job", TARGET="a.nii", OUTPUT="a.ome.zarr").stderr
        assert "No Ray" in stand_in.local("down").stdout
    assert top.poll() is None
    assert other.poll() is None


def test_what_a_dead_head_leaves_is_ended(stand_in):
    """Its children, a second node, and who wrote over its environment."""
    words = "sleep 600 & env -i sleep 600 & true"
    head, node = (stand_in.start(words, MEDCOLOR_RAY=FOLDER) for _ in range(2))
    family = [one for top in (head, node) for one in psutil.Process(top.pid).children()]
    assert len(family) >= 4
    stand_in.note(head.pid)
    head.kill()
    head.wait()
    assert "No Ray" in stand_in.local("job", TARGET="a.nii", OUTPUT="a.ome.zarr").stderr
    assert stand_in.local("down").stdout == "Ray has ended\n"
    assert node.wait() == -signal.SIGKILL
    assert [one for one in family if one.is_running() and one.status() != "zombie"] == []


@pytest.mark.parametrize("command", ["up", "down", "job"])
def test_a_folder_that_was_never_made_here_is_not_deleted(tmp_path, command):
    """The script is a copy in a folder of the test: `rm -rf "".*` would delete the repository."""
    ground = make_ground(tmp_path)
    script = ground.inside / "cluster" / "local.sh"
    script.parent.mkdir()
    shutil.copy(CLUSTER / "local.sh", script)
    (ground.inside / ".git").mkdir()
    state = tmp_path / "state"
    state.mkdir()
    texts = [name for name in names(ground.outside) if isinstance(name, str) and name.isprintable()]
    for text in (*texts, f"{FOLDER}/..", f"{FOLDER} {ground.outside}", f"{FOLDER}\n/", "/tmp"):
        (state / "temp").write_text(text)
        (state / "pid").write_text(f"{os.getpid()}\n")
        with untouched(ground.outside, ground.inside / ".git"):
            done = subprocess.run(
                [script, command],
                env={**os.environ, "MEDCOLOR_CLUSTER": str(state), "TARGET": "a", "OUTPUT": "b"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 2, text
        assert "holds no folder" in done.stderr
        assert (state / "temp").read_text() == text


def test_a_job_without_a_cluster_says_what_to_do(local):
    done = local("job", TARGET="a.nii.gz", OUTPUT="a.ome.zarr")
    assert done.returncode == 2
    assert "make cluster-up" in done.stderr


@pytest.mark.parametrize("command", ["job", "nightly", "schedule"])
def test_what_is_missing_is_named(local, command):
    done = local(command)
    assert done.returncode == 2
    assert f"make {command}" in done.stderr


CRONTAB = """#!/usr/bin/env bash
# A crontab in the file $TABLE; absent, as for a user without one; unreadable with $DENIED.
if [ "$1" = -l ]; then
    if [ -n "${DENIED:-}" ]; then echo "cannot read" >&2; exit 1; fi
    [ -f "$TABLE" ] || { echo "no crontab for somebody" >&2; exit 1; }
    cat "$TABLE"
else
    cat >"$TABLE.new" && mv "$TABLE.new" "$TABLE"
fi
"""
MINE = "MAILTO=me\n\n# mine\n5 4 * * * true\n"


@pytest.fixture
def table(tmp_path):
    """A stand-in for crontab, in a folder of its own; returns the file it keeps."""
    (tmp_path / "crontab").write_text(CRONTAB)
    (tmp_path / "crontab").chmod(0o755)
    return tmp_path / "table"


def schedule(local, table, **variables):
    night = {"MANIFEST": "/data/*.nii.gz", "OUTPUT": "s3://results/100% sure"}
    return local("schedule", PATH=table.parent, TABLE=table, **{**night, **variables})


def test_a_schedule_is_printed_and_nothing_installed(local, table):
    done = schedule(local, table)
    assert done.returncode == 0
    assert done.stdout.startswith(f"0 2 * * * cd {ROOT} && make nightly ")
    assert not table.exists()


def test_cron_and_shell_read_the_line_as_it_was_meant(local, table):
    command = schedule(local, table).stdout.split(" && ", 1)[1].replace(r"\%", "%")
    words = command.split(" >> ")[0].replace("make", "printf '%s\\n'", 1)
    read = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True).stdout
    assert read.splitlines() == [
        "nightly",
        "MANIFEST=/data/*.nii.gz",
        "OUTPUT=s3://results/100% sure",
    ]


@pytest.mark.parametrize("before", ["", MINE])
def test_installing_twice_adds_one_line_and_keeps_the_others(local, table, before):
    if before:
        table.write_text(before)
    for at in ("0 2 * * *", "30 3 * * *"):
        assert schedule(local, table, INSTALL=1, AT=at).returncode == 0
    kept, line = table.read_text()[: len(before)], table.read_text()[len(before) :]
    assert kept == before
    assert line.startswith("30 3 * * * cd ")
    assert line.count("\n") == 1


def test_a_crontab_that_cannot_be_read_is_left_alone(local, table):
    table.write_text(MINE)
    done = schedule(local, table, INSTALL=1, DENIED=1)
    assert done.returncode == 2
    assert "left alone" in done.stderr
    assert table.read_text() == MINE
