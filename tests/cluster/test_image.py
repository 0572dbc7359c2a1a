"""The Dockerfile and the shell scripts: what can be known of them without running them."""

from __future__ import annotations

import fnmatch
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from manifests import CLUSTER, ROOT

SCRIPTS = [CLUSTER / "local.sh", CLUSTER / "slurm" / "colorize.sbatch"]


def tool(name):
    """Find a program of the development extra: beside Python, or on the PATH."""
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if not found and platform.machine() == "aarch64":
        pytest.skip(f"{name} comes as a package for other machines alone")
    assert found, f"{name} is not installed: make setup"
    return found


def copied():
    """Return the paths that the Dockerfile copies from the repository."""
    text = (CLUSTER / "Dockerfile").read_text()
    for words in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        yield from words.split()[:-1]


def test_everything_copied_exists_and_reaches_the_builder():
    paths = list(copied())
    assert "medcolor" in paths
    patterns = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in patterns if line.startswith("!")]
    for path in paths:
        assert (ROOT / path).exists(), path
        assert any(fnmatch.fnmatch(path, pattern) for pattern in let_in), path
    assert sorted(let_in) == sorted(set(paths))


def test_the_package_finds_what_its_metadata_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {project["readme"], *project["license-files"]}
    assert {Path(name).parts[0] for name in named} <= set(copied())


def test_jobs_and_settings_lie_where_entrypoints_look():
    text = (CLUSTER / "Dockerfile").read_text()
    assert "WORKDIR /opt/medcolor\n" in text
    assert {"jobs", "configs"} <= set(copied())


def test_the_image_ends_without_root():
    users = re.findall(r"^USER (\S+)", (CLUSTER / "Dockerfile").read_text(), re.M)
    assert users
    assert users[-1] == "1000", "a number, or Kubernetes cannot tell that it is not root"


@pytest.mark.skipif(sys.platform != "linux", reason="hadolint comes as a package for Linux alone")
def test_hadolint_has_nothing_to_say():
    subprocess.run([tool("hadolint"), CLUSTER / "Dockerfile"], check=True)


EARLY_END = re.compile(
    r"(?<!\|)\|&?(?!\|)\s*(?:\w+=\S*\s+)*"
    r"(?:[ef]?grep\s+(?:-\S+\s+)*(?:-\w*[qm]|--quiet|--silent|--max-count)"
    r"|head\b|sed\b[^|]*[\d/$';\s]q['\"]?(?:\s|$)|awk\s[^|]*\bexit\b|read\b)"
)


def shell():
    """Yield the files of the repository in which shell stands."""
    for folder in ("cluster", ".ci", "jobs", "docs"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix != ".png")
    yield from (ROOT / "Makefile", *ROOT.glob("*.md"))


def test_no_pipe_ends_in_a_program_that_stops_reading_early():
    """Who writes into it is killed by SIGPIPE if it is not through by then: a "no" at random."""
    found = [
        f"{path.name}: {line.strip()}"
        for path in shell()
        for line in (path.read_text("latin-1").splitlines() if path.is_file() else ())
        if EARLY_END.search(line) and not line.lstrip().startswith(("#", "| "))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "ps -p 1 -o args= | grep -q 'ray start'",
        "{ ldconfig -p; } | grep -q x",
        "a | grep -F -m1 x",
        "a | LC_ALL=C grep -iq x",
        "a | grep --quiet x",
        "a |& head -1",
        "a | sed -n '3p;3q'",
        "a | sed 10q",
        "a | awk '{print; exit}'",
        "a | read -r x",
    ],
)
def test_such_a_pipe_is_found(line):
    assert EARLY_END.search(line)


@pytest.mark.parametrize(
    "line",
    ["grep -q x file", "a | grep -v x", "a | cut -d' ' -f1", "a | sed 's/q/r/'", "a || head"],
)
def test_others_are_not(line):
    assert not EARLY_END.search(line)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound(script):
    subprocess.run(["bash", "-n", script], check=True)
    subprocess.run([tool("shellcheck"), script], check=True)
