"""The three looks of a slice, and sheets like the paper's figures 3, 4, 6 and 7."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from medcolor.body import resize, square_shape
from medcolor.color import lab_to_srgb
from medcolor.colorize import vote_on_slices
from medcolor.config import RunSettings
from medcolor.domain import ColorSlice, SliceVotes, TargetSlice
from medcolor.errors import InputError
from medcolor.filters.settings import PAPER_FIGURE_6
from medcolor.prepared import prepare_reference
from medcolor.reference.library import ReferenceRecord, load_reference
from medcolor.run.look import measure_target
from medcolor.run.plan import open_network
from medcolor.run.threads import one_thread_each
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.ballot import learn_from_slice
from medcolor.transfer.looks import color_slice, needs_votes
from medcolor.transfer.scan import ScanStatistics
from medcolor.transfer.vote_mean import mean_vote
from medcolor.volume.images import write_png
from medcolor.volume.open import open_volume
from medcolor.volume.target import TargetReader

Rgb = UInt8[np.ndarray, "_row _col 3"]

_PANEL_PX = 360
_CAPTION_PX = 26
_GAP_PX = 6
_INSET_SHARE = 0.14
_MARK = (90, 170, 255)


def compare(
    target: Path,
    reference: Path,
    output: Path,
    settings: RunSettings,
    *,
    number: int | None = None,
) -> list[Path]:
    """Write the sheets and return their paths.

    Args:
        target: A scan.
        reference: One photograph.
        output: Folder for looks.png (the three looks) and figure-3.png, -4, -6, -7.
        settings: Of matching and transfer; each sheet changes what it compares.
        number: Slice of the scan, counted from the feet; None takes the middle one.

    Raises:
        InputError: If there is no such slice, it shows no body, or the photograph none.
    """
    network = open_network(settings).module
    record = ReferenceRecord(reference.name, reference, None)
    photograph = load_reference(record, settings.reference)
    with one_thread_each():
        prepared = prepare_reference(photograph, network, settings)
        shown, statistics = _read_slice(target, number, settings)
        heard = [[(prepared, 1.0)]]
        given = [shown], heard, network, settings, statistics, Stopwatch()
        votes = list(vote_on_slices(*given))
        if not votes:
            raise InputError(f"--slice {shown.z}", "no body in it", "Choose another slice")
        sheets = _sheets(shown, votes[0], statistics, photograph.rgb, settings)
    output.mkdir(parents=True, exist_ok=True)
    return [write_png(output / f"{name}.png", sheet) for name, sheet in sheets.items()]


def _read_slice(
    path: Path, number: int | None, settings: RunSettings
) -> tuple[TargetSlice, ScanStatistics]:
    with tempfile.TemporaryDirectory() as staging:
        volume = open_volume(path, settings.volume, Path(staging))
        depth = volume.geometry.shape[0]
        z = depth // 2 if number is None else number
        if not 0 <= z < depth:
            raise InputError(f"--slice {z}", f"{path} has {depth}", f"Give 0 .. {depth - 1}")
        read = TargetReader.finding(volume, settings.volume, settings.features.equalization)
        return read(z), measure_target(volume, read, settings)


def _sheets(
    target: TargetSlice,
    votes: SliceVotes,
    statistics: ScanStatistics,
    photograph: Rgb,
    settings: RunSettings,
) -> dict[str, Rgb]:
    where = votes.box.slices
    shape = square_shape(votes.box.shape, target.pixel)
    scan = np.where(target.body[where], target.luminance[where], 0)
    grey = resize(_bytes(np.repeat(scan[..., None], 3, axis=-1)), shape)
    raw = _bytes(np.where(votes.body[..., None], lab_to_srgb(mean_vote(votes)[0]), 0))
    cpu = torch.device("cpu")
    model = learn_from_slice(votes, statistics, settings.model)

    own = votes if needs_votes(model, settings) else None

    def shown(colored: ColorSlice) -> Rgb:
        return np.asarray(resize(colored.rgba[where][..., :3], shape))

    def with_model(look: Literal["photograph", "scan"]) -> Rgb:
        changed = settings.model_copy(update={"transfer": replace(settings.transfer, look=look)})
        return shown(color_slice(target, model, own, changed, statistics, cpu))

    def printed(changed: dict[str, object]) -> Rgb:
        given = settings.model_copy(update=changed), statistics, cpu
        return shown(color_slice(target, None, votes, *given))

    looks = {
        "photograph": with_model("photograph"),
        "scan": with_model("scan"),
        "paper": printed({"smoothing": PAPER_FIGURE_6["fgs"]}),
    }
    filters = {
        f"{name}, as in figure 6": printed({"smoothing": PAPER_FIGURE_6[name]})
        for name in ("guided", "domain-nc", "wls", "fgs")
    }
    gammas = {
        f"gamma {gamma:g}": printed({"transfer": replace(settings.transfer, gamma=gamma)})
        for gamma in (1.0, 0.5)
    }
    place = _where_they_differ(*gammas.values())
    return {
        "looks": _sheet({"target": grey, "reference": photograph, **looks}),
        "figure-3": _sheet({"target": grey, "reference": photograph, "reconstruction T'": raw}),
        "figure-4": _sheet({"reference": photograph, "target": grey, "colorized": looks["paper"]}),
        "figure-6": _sheet({"target": grey, **filters}),
        "figure-7": _sheet({name: _with_inset(image, place) for name, image in gammas.items()}),
    }


def _bytes(rgb: Float[np.ndarray, "row col 3"]) -> Rgb:
    return np.asarray(np.rint(255 * np.clip(rgb, 0, 1)), np.uint8)


def _where_they_differ(one: Rgb, other: Rgb) -> tuple[float, float]:
    """Return the place, 0..1 along rows and columns, around which two images differ most."""
    rows, cols = one.shape[:2]
    side = max(1, round(_INSET_SHARE * min(rows, cols)))
    change = np.abs(one.astype(np.float32) - other).sum(axis=-1)
    row, col = np.unravel_index(cv2.blur(change, (side, side)).argmax(), (rows, cols))
    return float(row) / rows, float(col) / cols


def _with_inset(image: Rgb, place: tuple[float, float]) -> Rgb:
    """Return an image with a circle and what it holds, four times as large, to the right."""
    panel = _fit(image)
    rows, cols = panel.shape[:2]
    radius = max(4, round(_INSET_SHARE * min(rows, cols)))
    row, col = (
        int(np.clip(part * side, radius, side - radius))
        for part, side in zip(place, (rows, cols), strict=True)
    )
    part = panel[row - radius : row + radius, col - radius : col + radius]
    size = _PANEL_PX // 2
    lens = cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC)
    disc = np.zeros((size, size), np.uint8)
    cv2.circle(disc, (size // 2, size // 2), size // 2 - 2, 1, -1)
    lens = np.where(disc[..., None] > 0, lens, 0)
    cv2.circle(lens, (size // 2, size // 2), size // 2 - 2, _MARK, 2, cv2.LINE_AA)
    marked = panel.copy()
    cv2.circle(marked, (col, row), radius, _MARK, 2, cv2.LINE_AA)
    beside = np.zeros((rows, size, 3), np.uint8)
    top = max(0, (rows - size) // 2)
    beside[top : top + size] = lens[: rows - top]
    return np.concatenate([marked, beside], axis=1)


def _fit(image: Rgb) -> Rgb:
    """Scale an image to the height of a panel."""
    scale = _PANEL_PX / image.shape[0]
    size = max(1, round(image.shape[1] * scale)), _PANEL_PX
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method))


def _sheet(panels: dict[str, Rgb]) -> Rgb:
    """Return captioned panels side by side."""
    columns = []
    for caption, image in panels.items():
        panel = image if image.shape[0] == _PANEL_PX else _fit(image)
        strip = np.zeros((_CAPTION_PX, panel.shape[1], 3), np.uint8)
        where, font = (4, _CAPTION_PX - 9), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(strip, caption, where, font, 0.45, (230, 230, 230), 1, cv2.LINE_AA)
        gap = np.zeros((_PANEL_PX + _CAPTION_PX, _GAP_PX, 3), np.uint8)
        columns += [np.concatenate([panel, strip]), gap]
    return np.concatenate(columns[:-1], axis=1)
