"""What is in an index, to look at: a contact sheet, and a slice beside what it finds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from medcolor.body import bounding_box, resize, square_shape
from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.features.extract import describe
from medcolor.reference.library import ReferenceRecord
from medcolor.reference.sheet import Tile, draw_sheet, spread_evenly
from medcolor.retrieval.index import ReferenceIndex, read_index
from medcolor.retrieval.parts import read_thumbnails
from medcolor.retrieval.search import top_k
from medcolor.run.index_parts import origin_of
from medcolor.run.plan import open_network
from medcolor.volume.body_mask import body_mask
from medcolor.volume.images import read_image_in_pixels, write_png
from medcolor.volume.surroundings import find_surroundings
from medcolor.volume.window import window_of_values

_MOST_TILES = 120
_SHOW_COLUMNS, _SHOW_PX = 12, 128
_QUERY_COLUMNS, _QUERY_PX = 6, 240
_NAMED = 3


@dataclass(frozen=True)
class Match:
    """A reference that a query found."""

    record: ReferenceRecord
    cosine: float
    """-1..1, equation 2."""


def query_index(
    folder: Path, image: Path, settings: RunSettings, count: int, picture: Path | None = None
) -> list[Match]:
    """Return the references most similar to one grey slice, best first.

    Args:
        folder: Index.
        image: One grey slice on a dark background.
        settings: The index was built with.
        count: Most references to return.
        picture: PNG to write: the slice beside their thumbnails.

    Raises:
        InputError: If the image shows no body, or the index was made otherwise.
    """
    _refuse_other_kind(picture)
    index = read_index(folder, origin_of(settings))
    if not image.is_file():
        raise InputError(image, "no such image", "Give one grey slice: PNG, JPEG or TIFF")
    values, _, pixel = read_image_in_pixels(image)
    grey = values.astype(np.float32)
    grey = grey if grey.ndim == 2 else grey.mean(axis=-1)
    grey = resize(grey, square_shape(grey.shape, pixel))
    window = window_of_values(grey, settings.volume, settings.features.equalization)
    luminance = np.clip(window.position(grey), 0, 1)
    position = window.position(grey)
    around = find_surroundings([position], window.body_threshold, window.air)
    body = body_mask(position, around)
    box = bounding_box(body)
    if box is None:
        raise InputError(image, "no body found", "Give one slice on a dark background")
    network = open_network(settings).module
    descriptor = describe(network, window.matched(luminance), body)
    found = top_k(descriptor[None], index.descriptors, count)
    numbers = [int(number) for number in found.indices[0]]
    matches = [
        Match(index.records[number], float(cosine))
        for number, cosine in zip(numbers, found.cosines[0], strict=True)
    ]
    if picture is not None:
        shown = luminance[box.slices]
        _write(picture, _query_sheet(index, image.name, shown, numbers, matches))
    return matches


def show_index(folder: Path, picture: Path | None = None) -> str:
    """Return what an index holds, in lines.

    Args:
        folder: Index.
        picture: PNG to write: thumbnails in order, evenly spaced if there are many.
    """
    _refuse_other_kind(picture)
    index = read_index(folder)
    lines = _summary(index)
    if picture is not None:
        numbers, title = spread_evenly(len(index.records), _MOST_TILES)
        tiles = [
            Tile(thumbnail, (index.records[n].reference_id, _place(index.records[n])))
            for n, thumbnail in zip(numbers, _thumbnails(index, numbers), strict=True)
        ]
        _write(picture, draw_sheet(title, tiles, _SHOW_COLUMNS, _SHOW_PX))
        lines.append(f"picture       {picture}: {title}")
    return "\n".join(lines)


def _summary(index: ReferenceIndex) -> list[str]:
    missing = [record for record in index.records if not record.path.is_file()]
    named = ", ".join(str(record.path) for record in missing[:_NAMED])
    more = ", ..." if len(missing) > _NAMED else ""
    about = {
        "references": f"{len(index.records)} in {len(index.parts)} parts",
        "left out": f"{len(index.empty)} without a body",
        "positions": _extent(index.positions_mm),
        "descriptors": f"{index.parts[0].descriptor_size} numbers",
        "network": index.origin.network,
        "preparation": index.origin.preparation,
        "library": index.library_digest,
        "missing files": f"{len(missing)}" + (f": {named}{more}" if missing else ""),
    }
    return [f"{key:14}{value}" for key, value in about.items()]


def _extent(positions_mm: Float[np.ndarray, " reference"] | None) -> str:
    if positions_mm is None:
        return "not known"
    words = f"{positions_mm[0]:g} .. {positions_mm[-1]:g} mm"
    if len(positions_mm) == 1:
        return words
    steps = np.diff(positions_mm)
    return f"{words}, steps {steps.min():g} .. {steps.max():g}, median {np.median(steps):g} mm"


def _query_sheet(
    index: ReferenceIndex,
    name: str,
    luminance: Float[np.ndarray, "row col"],
    numbers: list[int],
    matches: list[Match],
) -> UInt8[np.ndarray, "_row _col 3"]:
    shown = numbers[:_MOST_TILES]
    grey = np.repeat(np.rint(255 * luminance).astype(np.uint8)[..., None], 3, axis=-1)
    tiles = [Tile(grey, ("query", name, ""))]
    for match, thumbnail in zip(matches, _thumbnails(index, shown), strict=False):
        record = match.record
        tiles.append(
            Tile(thumbnail, (f"cosine {match.cosine:.4f}", record.reference_id, _place(record)))
        )
    title = f"the {len(shown)} most similar of {len(index.records)} references"
    return draw_sheet(title, tiles, _QUERY_COLUMNS, _QUERY_PX)


def _place(record: ReferenceRecord) -> str:
    return "position unknown" if record.position_mm is None else f"{record.position_mm:g} mm"


def _thumbnails(
    index: ReferenceIndex, numbers: list[int]
) -> list[UInt8[np.ndarray, "_row _col 3"]]:
    ids = [index.records[number].reference_id for number in numbers]
    stored = read_thumbnails(index.parts, ids)
    return [np.asarray(Image.open(io.BytesIO(stored[one])).convert("RGB")) for one in ids]


def _refuse_other_kind(picture: Path | None) -> None:
    """Refuse a name that promises anything but the PNG that is written."""
    if picture is not None and picture.suffix.lower() != ".png":
        raise InputError(
            picture, "promises another kind of file than PNG", f"Name it {picture.stem}.png"
        )


def _write(path: Path, sheet: UInt8[np.ndarray, "row col 3"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, sheet)
