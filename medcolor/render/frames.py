"""The frames of a picture set: from which level they are drawn, and the worker that does."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import weakref
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from medcolor.errors import InputError
from medcolor.fetch import CHECKSUMS
from medcolor.render.drawn import (
    DrawnVolume,
    halo_voxels,
    make_drawn,
    part_slices,
    points_for,
)
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.overview import read_overview
from medcolor.render.own_png import marked
from medcolor.render.scene import Camera, Frame, Light, SceneSettings, camera_of, frames_of
from medcolor.render.settings import RenderSettings
from medcolor.storage import Place, list_sizes, write_atomic
from medcolor.volume.images import encode_png
from medcolor.volume.levels import About, Level
from medcolor.volume.store import read_about, read_levels, read_slices

_log = logging.getLogger(__name__)

_BYTES_A_VOXEL = 14
"""Of the drawn level: what is drawn and OpenGL's copy of it (4 each), and what uploading takes."""

_BYTES_A_VOXEL_MADE = 85
"""Of the slices that are made ready at a time."""

_PROGRAM_MB = 650
"""Of a process that draws, beside the level: Python, VTK, OpenGL's driver, pictures. Not measured
where it runs: the level must not depend on what ran before."""

_LONGEST_TEXTURE = 2046
"""Voxels that every OpenGL takes along a side, less the clear layer."""

Kind = Literal["frames", "stills", "grey"]
"""Folder of the frames: in colour, a few of these in cinematic light, or of the scan."""


@dataclass(frozen=True)
class SetPlan:
    """What is drawn, decided once for all workers."""

    volume: Place
    output: Place
    scene: SceneSettings
    settings: RenderSettings
    levels: tuple[Level, ...]
    drawn: Level
    about: About
    threads: int
    """Cores that one worker draws with."""

    identity: str
    """Names all that decides the pictures, as the volume was when they were begun; empty if it
    does not tell what it is."""

    @property
    def has_grey(self) -> bool:
        """Whether alpha is the scan's display grey."""
        return self.about.grey is not None and self.about.grey.is_alpha

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The camera's path."""
        return frames_of(self.scene, self.settings.frames)

    @property
    def stills(self) -> tuple[int, ...]:
        """Frames, by number, that are drawn in cinematic light, too.

        None where all have it, or where the scene is to be without light.
        """
        return self.views(self.settings.stills) if self.scene.light == "studio" else ()

    def views(self, most: int) -> tuple[int, ...]:
        """Return so many frames, by number, evenly spread over the path; all if there are fewer."""
        frames = self.settings.frames
        count = min(most, frames)
        return tuple(number * frames // count for number in range(count))


@dataclass(frozen=True)
class FrameTask:
    """One frame."""

    stage: Kind
    number: int


@dataclass(frozen=True)
class FrameReport:
    """What came of a frame."""

    sha256: str
    camera: Camera


def plan_set(
    volume: Place,
    output: Place,
    scene: SceneSettings,
    settings: RenderSettings,
    threads: int,
) -> SetPlan:
    """Decide what is drawn.

    Raises:
        InputError: No coloured volume there, the opacity does not suit it, or not even the coarsest
            level fits into the memory.
    """
    levels = read_levels(volume)
    level, about = choose_level(levels, settings, scene), read_about(volume)
    points_for(scene, about.grey, str(volume))  # before anything is written over
    return SetPlan(
        volume,
        output,
        scene,
        settings,
        levels,
        level,
        about,
        threads,
        _identity(volume, about, level, scene, settings),
    )


def _identity(
    volume: Place, about: About, level: Level, scene: SceneSettings, settings: RenderSettings
) -> str:
    if not about.provenance:
        return ""
    said = [
        version("medcolor"),
        asdict(about),
        asdict(scene),
        asdict(settings),
        level.index,
        # A volume in the making says the same of itself as when it is done.
        sorted(list_sizes(volume / "0").items()),
        sorted(list_sizes(volume / str(level.index)).items()),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def choose_level(
    levels: tuple[Level, ...], settings: RenderSettings, scene: SceneSettings
) -> Level:
    """Return the finest level within the longest side and the memory.

    Raises:
        InputError: Not even the coarsest fits into the memory.
    """
    longest = min(settings.longest_side, _LONGEST_TEXTURE)
    sized = [level for level in levels if max(level.shape) <= longest] or levels[-1:]
    for level in sized:
        if memory_mb(level, scene) <= settings.memory_mb:
            voxels = " x ".join(map(str, level.shape[::-1]))
            say = _log.info if level is sized[0] else _log.warning
            say(
                "drawing level %d of %s voxels: what render.memory_mb=%d allows",
                level.index,
                voxels,
                settings.memory_mb,
            )
            return level
    least = memory_mb(levels[-1], scene)
    raise InputError(
        "render.memory_mb",
        f"{settings.memory_mb} MB hold no level, the coarsest needs {least:.0f} MB",
        "Allow more, or colour with a smaller store.smallest_side",
    )


def memory_mb(level: Level, scene: SceneSettings) -> float:
    """Return what a process takes that draws a level and does nothing else."""
    z, y, x = level.shape
    whole = (z + 2) * (y + 2) * (x + 2) * _BYTES_A_VOXEL
    slices = part_slices(level.shape) + 2 * halo_voxels(scene, level.spacing_mm)
    made_ready = min(slices, z) * y * x * _BYTES_A_VOXEL_MADE
    return _PROGRAM_MB + (whole + made_ready) / 1e6


def frame_name(number: int) -> str:
    """Return the file name of a frame."""
    return f"{number:04d}.png"


class FrameWorker:
    """Draws frames of one set; holds the volume on the renderer."""

    def __init__(self, plan: SetPlan) -> None:
        """Read the volume and make it ready.

        Raises:
            InputError: The opacity does not suit the volume.
            RunError: No OpenGL to draw with.
        """
        os.environ.setdefault("LP_NUM_THREADS", str(plan.threads))  # Mesa's software driver
        self._plan = plan
        self._shows_grey = False
        self._overview = read_overview(plan.volume, plan.levels, plan.drawn)
        self._drawn = self._made_ready(grey=False)
        self._renderer = OffscreenRenderer(self._drawn, plan.scene, plan.settings.size_px)
        # Whoever lets the worker go gives the OpenGL context back.
        weakref.finalize(self, self._renderer.close)

    def __call__(self, task: FrameTask) -> FrameReport:
        """Draw a frame and write it."""
        self._show(grey=task.stage == "grey")
        plan = self._plan
        frame = plan.frames[task.number]
        light: Light | None = "cinematic" if task.stage == "stills" else None
        content = marked(encode_png(self._renderer.frame(frame, light)))
        # The set that lay there is none from here on; a set without checksums is in the making.
        (plan.output / CHECKSUMS).unlink(missing_ok=True)
        write_atomic(plan.output / task.stage / frame_name(task.number), content)
        camera = camera_of(frame, self._drawn.extent, plan.scene)
        return FrameReport(hashlib.sha256(content).hexdigest(), camera)

    def _show(self, *, grey: bool) -> None:
        """Put colours or the scan on the renderer."""
        if grey == self._shows_grey:
            return
        self._made_ready(grey=grey, out=self._drawn.rgba)
        self._shows_grey = grey
        self._renderer.update()

    def _made_ready(
        self, *, grey: bool, out: UInt8[np.ndarray, "z y x 4"] | None = None
    ) -> DrawnVolume:
        plan = self._plan
        return make_drawn(
            lambda slices: read_slices(plan.volume, plan.drawn.index, slices),
            self._overview,
            plan.scene,
            plan.about.grey,
            str(plan.volume),
            grey=grey,
            out=out,
        )
