"""The picture set of one coloured volume: turntable, sections, video, page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from medcolor.fetch import write_checksums
from medcolor.progress import ProgressReport
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.page import PageContent, PicturePair, View, write_page
from medcolor.render.sections import write_sections
from medcolor.render.settings import RenderSettings
from medcolor.render.video import write_video
from medcolor.storage import Place, write_json
from medcolor.volume.images import write_png
from medcolor.volume.store import Level, read_levels, read_slices


def write_picture_set(
    volume: Place, output: Path, settings: RenderSettings, progress: ProgressReport
) -> Path:
    """Write `frames/`, `sections/`, `turntable.mp4`, `render.json` and `index.html`."""
    levels = read_levels(volume)
    level = _choose_level(levels, settings.longest_side)
    output.mkdir(parents=True, exist_ok=True)
    write_sections(volume, levels[0], output / "sections", settings.opacity_low)
    frames = _write_turntable(volume, level, output / "frames", settings, progress)
    write_video(output / "turntable.mp4", frames, settings.frames_per_second)
    facts = {
        "volume": volume.name,
        "voxels": " x ".join(str(side) for side in levels[0].shape[::-1]),
        "spacing_mm": " x ".join(f"{side:g}" for side in levels[0].spacing_mm[::-1]),
        "drawn_level": level.index,
        "frames": len(frames),
    }
    write_json(output / "render.json", {**facts, "settings": asdict(settings)})
    page = output / "index.html"
    write_page(page, _page_content(frames, facts, settings))
    write_checksums(output)
    return page


def _page_content(
    frames: list[UInt8[np.ndarray, "row col 3"]],
    facts: dict[str, object],
    settings: RenderSettings,
) -> PageContent:
    """Return the turntable as a page shows it."""
    views = tuple(
        View(PicturePair(_webp(frame), None), f"{360 * number / len(frames):g}°")
        for number, frame in enumerate(frames)
    )
    return PageContent(
        title=str(facts["volume"]),
        views=views,
        is_loop=True,
        frames_per_second=settings.frames_per_second,
        stacks=(),
        facts={name: str(value) for name, value in facts.items()},
        credits=(),
    )


def _webp(rgb: UInt8[np.ndarray, "row col 3"]) -> bytes:
    return bytes(cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])[1])


def _choose_level(levels: tuple[Level, ...], longest_side: int) -> Level:
    """Return the finest level within the bound, or the coarsest there is."""
    return next((level for level in levels if max(level.shape) <= longest_side), levels[-1])


def _write_turntable(
    volume: Place, level: Level, folder: Path, settings: RenderSettings, progress: ProgressReport
) -> list[UInt8[np.ndarray, "row col 3"]]:
    """Draw a full turn, and write each frame as PNG."""
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.png"):
        stale.unlink()
    rgba = read_slices(volume, level.index, range(level.shape[0]))
    renderer = OffscreenRenderer(rgba, level.spacing_mm, settings)
    progress.begin("render", settings.frames)
    frames = []
    try:
        for number in range(settings.frames):
            frame = renderer.frame(settings.start_deg + 360 * number / settings.frames)
            write_png(folder / f"{number:04d}.png", frame)
            frames.append(frame)
            progress.advance(1)
    finally:
        renderer.close()
    return frames
