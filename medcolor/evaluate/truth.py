"""A scan coloured from photographs of its own body: those left out say what is right.

Photographs are registered to the scan. Some levels are judged; they and their neighbours give no
colours. The volume is read in the places of the judged photographs' pixels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from medcolor.api import colorize_volume
from medcolor.body import resize, resize_mask, square_shape
from medcolor.color import srgb_to_lab
from medcolor.config import RunSettings
from medcolor.errors import InputError, RunError
from medcolor.evaluate.baselines import Colorizer, GreyTransfer, grey_in_lab
from medcolor.evaluate.registered import Library, Split, divide, read_places
from medcolor.evaluate.truth_levels import (
    HounsfieldScan,
    Likeness,
    TruthLevel,
    load_level,
    sample,
    sheet_of,
)
from medcolor.evaluate.volume_metrics import (
    LEGEND,
    Figures,
    VolumeMeasure,
    figures_table,
    write_figures,
)
from medcolor.progress import ProgressReport
from medcolor.reference.credit import copy_credits
from medcolor.reference.library import list_references
from medcolor.reference.manifest import read_manifest, write_manifest
from medcolor.retrieval.index import is_index
from medcolor.retrieval.record import photographs_used
from medcolor.run.ledger import ASSIGNMENT, Ledger
from medcolor.volume.files import list_photographs
from medcolor.volume.images import write_png
from medcolor.volume.store import read_levels, read_slices

Lab = Float[np.ndarray, "row col 3"]

_STRUCTURE_EVERY = 12
_LEAST_BODY = 0.032
"""Share of a slice from which the structure of its body is measured."""

_NO_RECORD = "which photographs gave the volume its colours is not recorded beside it"
_TRUTH_LEGEND = """\
* fitted to the judged photographs with hindsight
dE: CIEDE2000, chroma: distance in a*, b*; photograph and result blurred by 2 pixels."""


def evaluate_truth(
    scan: Path,
    places: Path,
    photographs: Path,
    settings: RunSettings,
    progress: ProgressReport,
    *,
    split: Split | None = None,
    volume: Path | None = None,
    output: Path | None = None,
) -> str:
    """Colour a CT from photographs of the same body and return figures against those left out.

    Args:
        scan: CT.
        places: See `registered.py`.
        photographs: Folder of the registered photographs, and others of the same body.
        settings: Of the product.
        progress: Told how far it is.
        split: Which levels are judged; by default every fourth.
        volume: Measure this one, instead of colouring.
        output: Folder for the coloured volume, figures and a sheet of pictures, or None.

    Raises:
        InputError: Files do not fit each other, or judged photographs gave `volume` its colours.
        RunError: If slabs were given up.
    """
    split = split or Split()
    if is_index(photographs):
        raise InputError(photographs, "an index", "Give the folder of photographs it is made of")
    registered = {level.number: level for level in read_places(places)}
    records, judged = list_references(photographs, settings.reference), split.judged([*registered])
    library = divide(photographs, records, judged, split.leave_out_mm, settings.reference)
    with tempfile.TemporaryDirectory() as staging:
        folder = output or Path(staging)
        read = HounsfieldScan.open(scan, settings, Path(staging))
        levels = [
            load_level(registered[number], library.judged[number], read, settings.reference)
            for number in judged
        ]
        far = f"none nearer than {library.nearest_mm:g} mm"
        if volume is None:
            name, made = "medcolor", _color(scan, photographs, library, folder, settings, progress)
            origin = f"colours from {len(library.used)} of {len(records)} photographs, {far}"
        else:
            name, made = volume.name, volume
            is_known = _refuse_other_volume(made, scan, read.shape, library)
            origin = f"colours from other photographs, {far}" if is_known else _NO_RECORD
        rows = _measure(read, made, name, levels, progress)
        if output is not None:
            _write(output, rows, read, made, levels)
    head = f"{len(judged)} of {len(registered)} levels judged: {' '.join(map(str, judged))}"
    return f"{head}\n{origin}\n{figures_table(rows)}\n{_TRUTH_LEGEND}\n{LEGEND}"


def _color(
    scan: Path,
    photographs: Path,
    library: Library,
    folder: Path,
    settings: RunSettings,
    progress: ProgressReport,
) -> Path:
    """Colour the scan from the photographs that may be used; return the volume."""
    references, made = folder / "references", folder / "color.ome.zarr"
    _link(photographs, library, references)
    report = colorize_volume(scan, references, made, settings=settings, progress=progress)
    if not report.is_complete:
        raise RunError(made, f"{len(report.failures)} slabs failed", "Run it again")
    return made


def _link(photographs: Path, library: Library, folder: Path) -> None:
    """Make a folder of links to the photographs that may be used."""
    names = {record.reference_id for record in library.used}
    folder.mkdir(parents=True, exist_ok=True)
    if others := {one.name for one in list_photographs(folder)} - names:
        raise InputError(folder, f"holds {min(others)} of another split", "Name another folder")
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to((photographs / name).absolute())
    copy_credits(photographs, folder)
    if (prepared := read_manifest(photographs)) is not None:
        write_manifest(folder, [frame for frame in prepared if frame.file in names])


def _refuse_other_volume(
    volume: Path, scan: Path, shape: tuple[int, int, int], library: Library
) -> bool:
    """Refuse a volume of another scan, or with the colours of photographs that are left out.

    Returns:
        Whether it is known what gave it its colours.
    """
    found = read_levels(volume)[0].shape
    if found != shape:
        raise InputError(
            volume, f"its shape is {found}, that of {scan} {shape}", "Give a volume of this scan"
        )
    used = photographs_used(Ledger.folder_of(volume) / ASSIGNMENT)
    if seen := (used or set()) & {record.reference_id for record in library.left_out}:
        raise InputError(
            volume,
            f"has colours of {min(seen)}, which is judged or too near to one that is",
            "Colour the scan without it, or judge others: --level, --leave-out",
        )
    return used is not None


def _measure(
    scan: HounsfieldScan,
    volume: Path,
    name: str,
    levels: list[TruthLevel],
    progress: ProgressReport,
) -> dict[str, Figures]:
    """Return the figures of the volume, and of what grey levels alone can do."""
    hindsight = GreyTransfer()
    for level in levels:
        hindsight.fit(scan.grey(level.hu)[level.body], level.lab[level.body])
    baselines: dict[str, Colorizer] = {
        "grey": grey_in_lab,
        "best transfer function*": hindsight,
    }
    names = [*baselines, name]
    likeness = {one: Likeness() for one in names}
    measures = {one: VolumeMeasure() for one in names}

    def all_of(hu: Float[np.ndarray, "row col"], own: Lab) -> dict[str, Lab]:
        grey = scan.grey(hu)
        return {**{one: colorize(grey) for one, colorize in baselines.items()}, name: own}

    slices = range(_STRUCTURE_EVERY, scan.shape[0] - _STRUCTURE_EVERY, _STRUCTURE_EVERY)
    progress.begin("measure", len(levels) + len(slices))
    for level in levels:
        for one, lab in all_of(level.hu, _shown(volume, level)).items():
            likeness[one].add(lab, level.lab, level.body)
            measures[one].compare(lab, level.lab, level.body, level.tissues)
        progress.advance(1)
    for z in slices:
        rgb = read_slices(volume, 0, range(z, z + 1))[0, ..., :3]
        body = np.asarray(rgb.any(axis=-1))
        if body.mean() >= _LEAST_BODY:
            (hu,) = scan.hu(range(z, z + 1))
            shape = square_shape(body.shape, scan.volume.geometry.pixel)
            square, inside = resize(hu, shape), resize_mask(body, shape)
            for one, lab in all_of(hu, srgb_to_lab(rgb.astype(np.float32) / 255)).items():
                measures[one].relate(resize(lab, shape), square, inside)
        progress.advance(1)
    return {one: {**likeness[one].figures, **measures[one].figures} for one in names}


def _rgb(volume: Path, level: TruthLevel) -> Float[np.ndarray, "row col 3"]:
    """Return the volume's colours in the places of a level, sRGB 0..255."""

    def read(slices: range) -> np.ndarray:
        return read_slices(volume, 0, slices)[..., :3]

    return sample(read, level.place, level.body)


def _shown(volume: Path, level: TruthLevel) -> Lab:
    return srgb_to_lab(_rgb(volume, level) / 255)


def _write(
    output: Path,
    rows: dict[str, Figures],
    scan: HounsfieldScan,
    volume: Path,
    levels: list[TruthLevel],
) -> None:
    """Write figures and pictures."""
    flat: list[dict[str, object]] = [{"method": name, **row} for name, row in rows.items()]
    write_figures(output / "truth.parquet", flat)

    def columns(level: TruthLevel) -> list[np.ndarray]:
        grey = np.repeat((scan.grey(level.hu) * level.body)[..., None], 3, axis=-1)
        return [np.rint(one).astype(np.uint8) for one in (255 * grey, _rgb(volume, level))]

    write_png(output / "truth.png", sheet_of(levels, columns))
