"""Truth hidden in plain sight: photographs lose their colours and get them back from others.

The target is a cryosection's own luminance, so structure is no problem and colour
alone is judged; references nearer than a given distance are not used, as if the
photographs had been taken further apart.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from medcolor.color import grey_of, lightness, srgb_to_lab
from medcolor.colorize import colorize_slices, prepare_reference
from medcolor.config import RunSettings
from medcolor.domain import ReferenceSlice, TargetSlice
from medcolor.errors import InputError
from medcolor.evaluate.baselines import GreyTransfer
from medcolor.evaluate.metrics import ColorError, error_table
from medcolor.features.extract import describe
from medcolor.features.network import GrayVGG19, PlacedNetwork
from medcolor.progress import ProgressReport
from medcolor.reference import list_references, load_reference
from medcolor.retrieval.assignment import (
    assign_references,
    cosine_similarity,
    references_around,
)
from medcolor.run.plan import open_network
from medcolor.run.threads import map_slices, usable_cores
from medcolor.stopwatch import Stopwatch
from medcolor.volume.images import write_png
from medcolor.volume.window import tone_curve

_PICTURES_EVERY = 5


@dataclass(frozen=True)
class _Photograph:
    """A frame as target, as reference and as truth."""

    reference: ReferenceSlice
    position_mm: float

    @property
    def grey(self) -> Float[np.ndarray, "row col"]:
        return grey_of(self.reference.rgb.astype(np.float32) / 255)

    @property
    def truth(self) -> Float[np.ndarray, "row col 3"]:
        return srgb_to_lab(self.reference.rgb.astype(np.float32) / 255)


def evaluate_recolored(
    folder: Path,
    settings: RunSettings,
    progress: ProgressReport,
    *,
    distance_mm: float,
    every: int = 1,
    by_position: bool = False,
    taps: PlacedNetwork | None = None,
    pictures: Path | None = None,
) -> str:
    """Recolour every n-th photograph of `folder` and return the table of mean errors.

    Args:
        folder: Photographs with positions in their names.
        settings: Of the product; all but volume, store and render count.
        progress: Told how far it is.
        distance_mm: References nearer than this to the slice are not used.
        every: Take every n-th photograph as a target.
        by_position: Take the nearest photograph that is far enough, not the most similar.
        taps: Match with these features instead of those of the settings' network.
        pictures: Folder for truth beside result, or None.

    Raises:
        InputError: Fewer than two photographs, positions unknown, or none far enough.
    """
    photographs = _load(folder, settings)
    network = open_network(settings).module
    if by_position:
        places = np.array([photograph.position_mm for photograph in photographs])
    else:
        places = _assigned_places(photographs, network, settings, distance_mm)
    chosen = _far_enough(photographs, places, settings, distance_mm)
    matched_with: PlacedNetwork = taps or network
    targets = range(0, len(photographs), every)
    progress.begin("recolor", len(targets))
    hindsight = GreyTransfer()
    for z in targets:
        where = photographs[z].reference.tissue
        hindsight.fit(photographs[z].grey[where], photographs[z].truth[where])
    errors: defaultdict[str, ColorError] = defaultdict(ColorError)

    def recolor(z: int) -> Float[np.ndarray, "row col 3"]:
        references = [(photographs[index], weight) for index, weight in chosen[z]]
        result = _recolor(photographs[z], references, matched_with, settings)
        progress.advance(1)
        return result

    results = map_slices(recolor, targets, settings.compute.threads or usable_cores())
    for z, rgb in zip(targets, results, strict=True):
        photograph, reference = photographs[z], photographs[chosen[z][0][0]]
        where, grey = photograph.reference.tissue, photograph.grey
        look_up = GreyTransfer()
        look_up.fit(
            reference.grey[reference.reference.tissue], reference.truth[reference.reference.tissue]
        )
        result_lab = srgb_to_lab(rgb)
        # All but grey and medcolor itself take the target's lightness, here the truth's.
        lab = {
            "grey": srgb_to_lab(np.repeat(grey[..., None], 3, axis=-1)),
            "look-up": _keep_lightness(look_up(grey), grey),
            "transfer function*": _keep_lightness(hindsight(grey), grey),
            "medcolor": result_lab,
            "medcolor, lightness kept": _keep_lightness(result_lab, grey),
        }
        for name, result in lab.items():
            errors[name].add(result, photograph.truth, where)
        if pictures is not None and z % _PICTURES_EVERY == 0:
            pictures.mkdir(parents=True, exist_ok=True)
            pair = np.concatenate([photograph.reference.rgb / 255.0, rgb], axis=1)
            name = f"recolored-{Path(photograph.reference.reference_id).stem}.png"
            write_png(pictures / name, np.rint(255 * pair).astype(np.uint8))
    title = (
        f"{len(results)} photographs recoloured, references at least {distance_mm:g} mm away\n"
        "(* fitted to the truth with hindsight)"
    )
    return error_table(title, errors)


def _load(folder: Path, settings: RunSettings) -> list[_Photograph]:
    photographs = []
    for record in list_references(folder, settings.reference):
        if record.position_mm is None:
            raise InputError(folder, "names carry no positions", "Name the files by their mm")
        photographs.append(
            _Photograph(load_reference(record, settings.reference), record.position_mm)
        )
    return photographs


def _assigned_places(
    photographs: list[_Photograph], network: GrayVGG19, settings: RunSettings, distance_mm: float
) -> Float[np.ndarray, " photograph"]:
    """Return the place along the body that the product would assign without the near ones."""

    def describe_one(photograph: _Photograph) -> Float[np.ndarray, " descriptor"]:
        return describe(network, photograph.grey, photograph.reference.tissue)

    threads = settings.compute.threads or usable_cores()
    descriptors = np.stack(map_slices(describe_one, photographs, threads))
    positions = np.array([photograph.position_mm for photograph in photographs])
    similarity = cosine_similarity(descriptors, descriptors)
    visible = np.ones(len(photographs), bool)

    def assign(z: int) -> float:
        far = np.flatnonzero(np.abs(positions - positions[z]) >= distance_mm)
        if len(far) == 0:
            raise InputError("evaluate color", "no reference is far enough", "Lower --distance-mm")
        # Photographs run toward the feet, the slices of a scan toward the head.
        towards_head = similarity[::-1, far]
        spacing = float(np.diff(positions).mean())
        path = assign_references(towards_head, visible, positions[far], spacing, settings.retrieval)
        return float(positions[far[path[len(path) - 1 - z]]])

    return np.array([assign(z) for z in range(len(photographs))])


def _far_enough(
    photographs: list[_Photograph],
    places_mm: Float[np.ndarray, " photograph"],
    settings: RunSettings,
    distance_mm: float,
) -> list[list[tuple[int, float]]]:
    """Choose for each photograph those around its place, none nearer than `distance_mm` to it."""
    positions = np.array([photograph.position_mm for photograph in photographs])
    chosen = []
    for place, position in zip(places_mm, positions, strict=True):
        far = np.flatnonzero(np.abs(positions - position) >= distance_mm)
        if len(far) == 0:
            raise InputError("evaluate color", "no reference is far enough", "Lower --distance-mm")
        around = references_around(place, positions[far], settings.retrieval)
        chosen.append([(int(far[index]), weight) for index, weight in around])
    return chosen


def _recolor(
    photograph: _Photograph,
    references: list[tuple[_Photograph, float]],
    network: PlacedNetwork,
    settings: RunSettings,
) -> Float[np.ndarray, "row col 3"]:
    """Colour the luminance of one photograph from others; sRGB 0..1."""
    grey, tissue = photograph.grey, photograph.reference.tissue
    curve = tone_curve(grey[tissue], settings.features.equalization)
    matched = np.interp(grey, np.linspace(0, 1, len(curve)), curve).astype(np.float32)
    (colored,) = colorize_slices(
        [TargetSlice(grey, matched, tissue, 0)],
        [
            (prepare_reference(one.reference, network, settings.features), weight)
            for one, weight in references
        ],
        network,
        settings,
        Stopwatch(),
    )
    return colored.rgba[..., :3].astype(np.float32) / 255


def _keep_lightness(
    lab: Float[np.ndarray, "row col 3"], grey: Float[np.ndarray, "row col"]
) -> Float[np.ndarray, "row col 3"]:
    """Replace L* by that of the target, which shows its own luminance."""
    return np.concatenate([lightness(grey)[..., None], lab[..., 1:]], axis=-1)
