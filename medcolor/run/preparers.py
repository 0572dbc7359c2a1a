"""The workers that survey, prepare and show frames of a library; see `run/prepare.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from medcolor.config import RunSettings
from medcolor.errors import EmptyFrameError, InputError
from medcolor.reference.contact_sheet import outlined
from medcolor.reference.library import read_photograph
from medcolor.reference.manifest import PreparedFrame
from medcolor.reference.orientation import VIEW
from medcolor.reference.prepare import CutOut, cut_out
from medcolor.reference.settings import ReferenceSettings
from medcolor.reference.sheet import Tile
from medcolor.run.threads import map_slices
from medcolor.run.workers import speaking_of_full_disks
from medcolor.storage import write_atomic
from medcolor.volume.files import digest_file, photograph_stem
from medcolor.volume.images import read_image


@dataclass(frozen=True)
class FrameTask:
    """A frame, and what an earlier run made of the file of its name."""

    path: Path
    before: PreparedFrame | None


@dataclass(frozen=True)
class Survey:
    """What a look at a frame's bytes tells."""

    source_digest: str

    content_digest: str | None
    """Of its pixels; None if it shows nothing."""

    why: str | None
    """It shows nothing."""

    is_current: bool
    """Whether what the earlier run made of it still holds."""


class SurveyFrames:
    """Looks for what is new, empty or torn."""

    def __init__(self, output: Path, settings_digest: str, threads: int) -> None:
        """Take what tells an earlier result from one of today."""
        self._output, self._settings_digest, self._threads = output, settings_digest, threads

    def __call__(self, tasks: Sequence[FrameTask]) -> list[Survey]:
        """Survey some frames."""
        return map_slices(self._survey, tasks, self._threads)

    def _survey(self, task: FrameTask) -> Survey:
        source_digest = digest_file(task.path)
        before = task.before
        if before is None or before.source_digest != source_digest:
            return Survey(source_digest, *_content(task.path), is_current=False)
        why = before.why if before.content_digest is None else None
        return Survey(source_digest, before.content_digest, why, self._is_current(before))

    def _is_current(self, before: PreparedFrame) -> bool:
        """Tell whether a result was made with these settings and lies there whole."""
        if before.settings_digest != self._settings_digest:
            return False
        if before.file is None:
            return before.status == "empty"
        written = self._output / before.file
        return written.is_file() and digest_file(written) == before.file_digest


def names_of_prepared(frame: Path) -> tuple[str, str]:
    """Return the name under which a raw frame is written, and a clean one."""
    return f"{photograph_stem(frame)}.png", frame.name


class PrepareFrames:
    """Cuts bodies out of frames and writes them; clean frames are copied."""

    def __init__(self, output: Path, settings: RunSettings, threads: int) -> None:
        """Take where to write and how to prepare."""
        self._output, self._settings, self._threads = output, settings.reference, threads

    def __call__(self, tasks: Sequence[tuple[Path, PreparedFrame]]) -> list[PreparedFrame]:
        """Prepare some frames; return their records, completed."""
        return map_slices(self._prepare, tasks, self._threads)

    def _prepare(self, task: tuple[Path, PreparedFrame]) -> PreparedFrame:
        path, frame = task
        rgb, body = read_photograph(path)
        try:
            found = cut_out(rgb, path.name, self._settings, body)
        except EmptyFrameError as error:
            return replace(frame, status="empty", why=error.args[1])
        content = _encode(found) if found.is_raw else path.read_bytes()
        cut, copied = names_of_prepared(path)
        file = cut if found.is_raw else copied
        with speaking_of_full_disks(self._output):
            write_atomic(self._output / file, content)
        box = found.box
        return replace(
            frame,
            status="prepared" if found.is_raw else "clean",
            file=file,
            orientation=_orientation(found, self._settings),
            crop=(box.row_start, box.row_stop, box.col_start, box.col_stop)
            if found.is_raw
            else None,
            gains=found.gains,
            balance=found.balance,
            air_share=round(found.air_share, 6),
            file_digest=_digest(content),
        )


class DrawThumbnails:
    """Draws prepared frames small, for the contact sheet."""

    def __init__(self, output: Path, settings: RunSettings, threads: int) -> None:
        """Take where the frames lie."""
        self._output, self._settings, self._threads = output, settings.reference, threads

    def __call__(self, frames: Sequence[PreparedFrame]) -> list[Tile]:
        """Draw some frames."""
        return map_slices(self._draw, frames, self._threads)

    def _draw(self, frame: PreparedFrame) -> Tile:
        file, settings = frame.file or "", self._settings
        if frame.orientation is not None:
            settings = replace(settings, orientation=frame.orientation)
        rgb, body = read_photograph(self._output / file)
        found = cut_out(rgb, file, settings, body)
        caption = Path(file).stem if frame.number is None else f"{frame.number:.7g}"
        return outlined(found.rgb, found.body, caption)


def _orientation(found: CutOut, settings: ReferenceSettings) -> str | None:
    """Return how the written frame lies, if that is known; numbers in names run where they ran."""
    if found.is_raw:
        return f"{VIEW}{settings.presumed_orientation[2]}"
    return None if settings.orientation == "auto" else settings.orientation


def _encode(found: CutOut) -> bytes:
    """Return a PNG whose alpha is the body."""
    alpha = np.where(found.body, np.uint8(255), np.uint8(0))
    bgra = np.dstack([found.rgb[..., ::-1], alpha])
    return cv2.imencode(".png", bgra)[1].tobytes()


def _content(path: Path) -> tuple[str | None, str | None]:
    """Return a digest of the pixels, or None and why there are none to use."""
    try:
        image = read_image(path)
    except InputError as error:
        return None, "no bytes" if path.stat().st_size == 0 else error.args[1]
    if (image == image[0, 0]).all():
        return None, "one colour throughout"
    shape = f"{image.shape} {image.dtype} ".encode()
    return _digest(shape + np.ascontiguousarray(image).tobytes()), None


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
