"""`medcolor doctor`: what of this machine works, and what to do about what does not."""

from __future__ import annotations

import os
import platform
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch

from medcolor.cache import cache_folder
from medcolor.config import RunSettings
from medcolor.errors import MedcolorError
from medcolor.extras import MODULES, install_command, missing_modules
from medcolor.render.drawn import make_drawn
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.scene import Frame, SceneSettings
from medcolor.render.tissue import Overview
from medcolor.run.plan import Capabilities, open_network
from medcolor.run.tasks import Runner, one_line
from medcolor.run.threads import usable_cores
from medcolor.storage import Place
from medcolor.weights import verify_weights

_LEAST_GB = 5.0
"""Of free space, below which a body's volume or a library will hardly fit."""


@dataclass(frozen=True)
class Finding:
    """What a probe found."""

    probe: str
    works: bool
    what: str
    """One line; of what does not work, with the remedy."""

    def __str__(self) -> str:
        """Return one line."""
        return f"{'ok  ' if self.works else 'BAD '} {self.probe:<8} {self.what}"

    def as_json(self) -> dict[str, object]:
        """Return all of it."""
        return asdict(self)


class NotWorkingError(Exception):
    """What a probe says of what does not work."""


def examine(
    settings: RunSettings, place: Place | None, connect: Callable[[], str] | None
) -> list[Finding]:
    """Try everything that a run needs.

    Args:
        settings: Of which device, network and precision count.
        place: Where results are to lie; by default the folder this is called in.
        connect: Joins Ray, works on it, and says what it found; None leaves it out.
    """
    probes: dict[str, Callable[[], str]] = {
        "python": _python,
        "extras": _extras,
        "device": lambda: _device(settings),
        "weights": lambda: _weights(settings),
        "cache": lambda: _folder(cache_folder()),
        "output": lambda: _output(place or Path.cwd()),
    }
    if not missing_modules("render"):
        probes["drawing"] = _drawing
    if connect is not None:
        probes["ray"] = connect
    return [_try(name, probe) for name, probe in probes.items()]


def greet_every_node(runner: Runner) -> str:
    """Work on every node of a runner and say what was found.

    Raises:
        NotWorkingError: Nodes differ.
        RunError: One does not answer.
    """
    versions = runner.on_every_node(_version)
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{node} has {one}" for node, one in versions.items())
        raise NotWorkingError(f"medcolor differs: {told}. Install one version everywhere")
    return f"{len(versions)} nodes, {runner.workers} workers of {runner.threads} threads"


def _version() -> str:
    return version("medcolor")


def _try(name: str, probe: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, probe())
    except (NotWorkingError, MedcolorError, OSError) as error:
        return Finding(name, False, " ".join(str(error).split()))
    except Exception as error:  # a probe is there to tell what goes wrong, whatever it is
        return Finding(name, False, one_line(error))


def _python() -> str:
    machine = f"{platform.system()} {platform.machine()}"
    return f"{platform.python_version()} on {machine}, torch {torch.__version__}"


def _extras() -> str:
    """Say which optional parts there are; to do without one is no fault."""
    absent = [extra for extra in MODULES if missing_modules(extra)]
    there = ", ".join(extra for extra in MODULES if extra not in absent) or "none"
    return f"{there}; to add more: {install_command(*absent)}" if absent else there


def _device(settings: RunSettings) -> str:
    able, asked = Capabilities.here(), settings.compute.device
    if asked == "cuda" and not able.has_gpu:
        raise NotWorkingError(
            f"compute.device=cuda, but torch {torch.__version__} sees no GPU. Install torch for "
            "CUDA and its driver, or set compute.device=cpu"
        )
    fast = f"bf16 in hardware on {' and '.join(able.fast_bf16) or 'nothing'}"
    if able.has_gpu and asked != "cpu":
        total = torch.cuda.get_device_properties(0).total_memory / 2**30
        count = torch.cuda.device_count()
        return f"{count} GPU, {torch.cuda.get_device_name(0)}, {total:.0f} GiB; {fast}"
    return f"{usable_cores()} cores of the CPU, OpenCV {cv2.__version__}; {fast}"


def _weights(settings: RunSettings) -> str:
    network = open_network(settings)
    for name, is_sound, why in verify_weights():
        if not is_sound:
            raise NotWorkingError(f"{name}: {why}")
    return f"{settings.features.network}, {network.digest[:12]}"


def _drawing() -> str:
    """Draw a bright cube: a driver may come up and draw nothing."""
    rgba = np.zeros((8, 8, 8, 4), np.uint8)
    rgba[2:6, 2:6, 2:6] = 255
    scene = SceneSettings(opacity="ramp", background=(0, 0, 0))
    overview = Overview.alone(rgba, (1.0, 1.0, 1.0))
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], overview, scene)
    renderer = OffscreenRenderer(drawn, scene, 32)
    try:
        frame, driver = renderer.frame(Frame(0.0)), renderer.driver()
    finally:
        renderer.close()
    if frame.max() < 60:
        raise NotWorkingError(
            f"{driver} draws black frames. Update the driver, or install Mesa's: "
            "libegl-mesa0 libgl1-mesa-dri"
        )
    return driver


def _output(place: Place) -> str:
    if isinstance(place, Path):
        return _folder(place)
    probe = place / f".medcolor-{uuid.uuid4().hex}"
    probe.write_bytes(b"medcolor")
    try:
        if probe.read_bytes() != b"medcolor":
            raise NotWorkingError(f"{place}: reads otherwise than was written. Look at the store")
    finally:
        probe.unlink(missing_ok=True)
    return f"{place}: written, read, deleted"


def _folder(folder: Path) -> str:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise NotWorkingError(f"{there}: cannot be written to. Choose another folder")
    free = shutil.disk_usage(there).free / 1e9
    if free < _LEAST_GB:
        raise NotWorkingError(f"{there}: {free:.1f} GB free. Make room: {_LEAST_GB:.0f} at least")
    return f"{folder}: {free:.0f} GB free"
