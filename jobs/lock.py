"""Pin every package, and check that the pins resolve on every system and Python that is supported.

    python jobs/lock.py [--upgrade | --upgrade-package NAME]    write both files; kept pins stay
    python jobs/lock.py --check                                 resolve both everywhere

constraints.txt    a version a package, for `make setup`. Without what torch brings itself (Triton,
                   CUDA's libraries): one build of torch asks for other ones than the next.
requirements.lock  the same versions and all that torch brings, with hashes: for images.

Both come from uv, which asks the registry alone: wheels that lie on one machine do not count. No
package is downloaded, only what says on which others it depends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS, LOCK = ROOT / "constraints.txt", ROOT / "requirements.lock"
SYSTEMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin")
PYTHONS = ("3.11.1", "3.12", "3.13")  # ome-zarr, for the tests, excludes 3.11.0

_UV = Path(sys.executable).with_name("uv")
_SETTINGS = {
    "MACOSX_DEPLOYMENT_TARGET": "14.0",  # older systems have no wheels of av
    "UV_HTTP_TIMEOUT": "15",
    "UV_HTTP_RETRIES": "1",
}
_PATIENCE_S = 240.0
_NO_ANSWER = re.compile(r"fetch|download|request|connect|timed? ?out", re.IGNORECASE)
"""What uv says, with status 2, where it could not ask; status 1 is an answer that does not fit."""

_OF_TORCH = re.compile(r"(triton|nvidia-|cuda-)")
_HEAD = "# Written by `make lock`; see jobs/lock.py.\n"
# Said of every package by uv, as nothing else is resolved for (pyproject.toml, tool.uv).
_EVERYWHERE = (
    " ; python_full_version < '3.14' and ((platform_machine == 'arm64' and sys_platform == "
    "'darwin') or sys_platform == 'linux')"
)


class SilentRegistryError(Exception):
    """No registry answers, or not in time."""


def main(words: list[str]) -> int:
    """Write or check; return the exit status."""
    if words != ["--check"]:
        write(words)
        return 0
    try:
        return check()
    except SilentRegistryError:
        print("lock-check: skipped, no package registry answers (in time)")
        return 0


def write(options: list[str]) -> None:
    """Resolve for all systems at once."""
    chosen = ("--universal", "--python-version", PYTHONS[0], "--fork-strategy", "fewest")
    common = (*chosen, "--group", "image", "--no-annotate", "--no-header", *options)
    _compile(*common, "--all-extras", "-o", CONSTRAINTS)
    lines = CONSTRAINTS.read_text().splitlines()
    pins = [line.partition(" ;")[0] for line in lines if not _OF_TORCH.match(line)]
    CONSTRAINTS.write_text(_HEAD + "\n".join(pins) + "\n")
    hashed = ("--extra", "all", "--generate-hashes", "-c", CONSTRAINTS)
    _compile(*common, *hashed, "-o", LOCK)
    LOCK.write_text(_HEAD + LOCK.read_text().replace(_EVERYWHERE, ""))


def _compile(*options: str | Path) -> None:
    command = [_UV, "pip", "compile", "--quiet", "pyproject.toml", *options]
    subprocess.run(command, cwd=ROOT, check=True)


def check() -> int:
    """Resolve both files on each system by each Python; return 1 if one did not resolve.

    Raises:
        SilentRegistryError: It was not to be found out.
    """
    end = time.monotonic() + _PATIENCE_S
    problems = []
    for system, python in product(SYSTEMS, PYTHONS):
        where = ("--python-platform", system, "--python-version", python)
        for name, command in _attempts().items():
            found = _ask([*command, *where], end - time.monotonic())
            if found is not None:
                problems.append(f"{name}, {system}, Python {python}:\n{found}")
    print("\n".join(problems) or f"lock-check: {len(SYSTEMS) * len(PYTHONS)} systems resolve")
    return min(len(problems), 1)


def _attempts() -> dict[str, list[str | Path]]:
    """Return uv's commands: all with the constraints, and the lock as pip would install it."""
    folder = Path(tempfile.gettempdir()) / "medcolor-nothing-is-installed-here"
    return {
        CONSTRAINTS.name: ["compile", "pyproject.toml", "--all-extras", "-c", CONSTRAINTS],
        LOCK.name: ["install", "--dry-run", "--require-hashes", "-r", LOCK, "--target", folder],
    }


def _ask(command: list[str | Path], patience_s: float) -> str | None:
    """Return what does not resolve, or None; of packages that exist as wheels alone."""
    common = ["--no-config", "--python", sys.executable, "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [_UV, "pip", *command, *common],
            cwd=ROOT,
            env=os.environ | _SETTINGS,
            timeout=max(patience_s, 0.01),
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SilentRegistryError from error
    if done.returncode == 2 and _NO_ANSWER.search(done.stderr):
        raise SilentRegistryError
    return done.stderr.strip() if done.returncode else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
