"""Jobs on a cluster that has no repository: medcolor from a wheel, installed or sent along."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
import zipfile
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from manifests import CLUSTER, ROOT
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(560),
    pytest.mark.xdist_group("ray"),
]
QUICK = ["features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"]
OLD = "0.0.7"


def free_ports(count):
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory, wheel):
    """A Python that has what medcolor needs and, of medcolor, an old wheel; its environment."""
    home = tmp_path_factory.mktemp("machine")
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    # What an editable installation of the repository adds to the path is not added by this.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (about,) = packages.glob("medcolor-*.dist-info")
    text = (about / "METADATA").read_text()
    (about / "METADATA").write_text(re.sub(r"(?m)^Version: .*", f"Version: {OLD}", text, count=1))
    (home / "bin" / "ray").write_text(
        f"#!{home / 'bin' / 'python'}\nfrom ray.scripts.scripts import main\nmain()\n"
    )
    (home / "bin" / "ray").chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAY_") and name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    (home / "token").write_text(secrets.token_hex(32))
    (home / "token").chmod(0o600)
    return kept | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home / "token"),
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MEDCOLOR_CACHE": str(home / "cache"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture(scope="module")
def short_folder():
    """A folder whose name leaves room for those of Ray's sockets, 107 bytes in all."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture(scope="module")
def dashboard(machine, tmp_path_factory, short_folder):
    """The address for jobs of a Ray that was begun by that Python, on loopback."""
    gcs, port, agent, client = free_ports(4)
    log = tmp_path_factory.mktemp("ray") / "log"
    command = [
        *("ray", "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1"),
        *(f"--port={gcs}", f"--dashboard-port={port}", f"--ray-client-server-port={client}"),
        *(f"--dashboard-agent-listen-port={agent}", "--object-store-memory=100000000"),
        f"--temp-dir={short_folder}",
    ]
    with log.open("wb") as file:
        head = subprocess.Popen(command, env=machine, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 200
        for awaited in (port, agent):
            while not answers(awaited):
                assert head.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(head.pid)
            for one in [family, *family.children(recursive=True)]:
                one.kill()
        head.wait()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def submit(machine, dashboard, scan, photographs, tmp_path):
    """Return a function that submits jobs/colorize.py, and what became of its volume."""
    output = tmp_path / "there.ome.zarr"

    def run(folder, *options):
        folder.mkdir(exist_ok=True)
        shutil.copy(ROOT / "jobs" / "colorize.py", folder)
        words = ["--set", "compute.device=cpu", *(w for s in QUICK for w in ("--set", s))]
        command = ["ray", "job", "submit", f"--address={dashboard}", f"--working-dir={folder}"]
        job = ["python", "colorize.py", *map(str, (scan, photographs, output)), *words]
        done = subprocess.run(
            [*command, *options, "--", *job],
            env=machine,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        record = json.loads((output.with_name(f"{output.name}.run") / "run.json").read_text())
        return output, record

    return run


@pytest.fixture
def expected(scan, photographs, tmp_path):
    settings = load_settings(None, ["compute.device=cpu", *QUICK])
    medcolor.colorize_volume(scan, photographs, tmp_path / "here.ome.zarr", settings=settings)
    return tree_bytes(tmp_path / "here.ome.zarr")


def test_a_job_runs_on_a_machine_that_has_only_the_wheel(submit, expected, tmp_path):
    output, record = submit(tmp_path / "job")
    assert record["versions"]["medcolor"] == OLD
    assert record["runner"]["kind"] == "RayRunner"
    assert tree_bytes(output) == expected


def test_a_job_brings_its_own_wheel(submit, expected, wheel, tmp_path):
    """Driver and actors run it, and nothing is fetched for it."""
    folder = tmp_path / "job"
    folder.mkdir()
    shutil.copy(wheel, folder)
    output, record = submit(folder, f"--runtime-env={CLUSTER / 'runtime-env.yaml'}")
    assert record["versions"]["medcolor"] == wheel.name.split("-")[1]
    assert record["runner"]["kind"] == "RayRunner"
    assert tree_bytes(output) == expected
