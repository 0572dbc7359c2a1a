"""Truth hidden in plain sight: photographs lose their colours and get them back from others.

The target is a cryosection's own luminance, so structure is no problem and colour
alone is judged; references nearer than a given distance are not used, as if the
photographs had been taken further apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int

from medcolor.color import grey_of, lab_to_srgb, lightness, srgb_to_lab
from medcolor.colorize import colorize_slice
from medcolor.config import RunSettings
from medcolor.domain import SQUARE, ReferenceSlice, TargetSlice
from medcolor.errors import InputError
from medcolor.evaluate.baselines import (
    Colorizer,
    GreyTransfer,
    Lab,
    by_statistics,
    with_lightness,
)
from medcolor.evaluate.features.pairs import bend
from medcolor.evaluate.metrics import LEGEND, ColorReport, measure
from medcolor.features.extract import describe
from medcolor.features.network import GrayVGG19, PlacedNetwork
from medcolor.prepared import PreparedReference, prepare_reference
from medcolor.progress import ProgressReport
from medcolor.reference.library import list_references, load_reference
from medcolor.retrieval.assignment import choose_references, references_around
from medcolor.run.plan import open_network
from medcolor.run.threads import map_slices, usable_cores
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.measure import measure_scan
from medcolor.volume.images import write_png
from medcolor.volume.window import tone_curve

_CASE = "photographs"
_PICTURES_EVERY = 5
_DISGUISE = 5
_LIKE_T1 = [0, 0.15, 0.3, 0.45, 0.6, 0.75, 1], [0.02, 0.25, 0.45, 0.4, 0.6, 0.95, 0.8]
"""Luminance and the grey it becomes."""


@dataclass(frozen=True)
class _Photograph:
    """A frame as target, as reference and as truth."""

    reference: ReferenceSlice
    position_mm: float
    disguised: Float[np.ndarray, "row col"] | None = None
    """Grey to show instead of its own."""

    @cached_property
    def grey(self) -> Float[np.ndarray, "row col"]:
        if self.disguised is not None:
            return self.disguised
        return grey_of(self.reference.rgb.astype(np.float32) / 255)

    @cached_property
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
    disguise: bool = False,
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
        disguise: Bend the targets and give them the contrast of another modality first.
        pictures: Folder for truth beside result and for the figures of every slice, or None.

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
    numbers = range(0, len(photographs), every)
    targets = [_disguise(photographs[z], z) if disguise else photographs[z] for z in numbers]
    threads = settings.compute.threads or usable_cores()
    wanted = sorted({index for z in numbers for index, _ in chosen[z]})

    def prepare(index: int) -> PreparedReference:
        return prepare_reference(photographs[index].reference, matched_with, settings)

    prepared = dict(zip(wanted, map_slices(prepare, wanted, threads), strict=True))
    progress.begin("recolor", len(targets))
    hindsight = GreyTransfer()
    for target in targets:
        where = target.reference.tissue
        hindsight.fit(target.grey[where], target.truth[where])

    def recolor(job: tuple[_Photograph, list[tuple[int, float]]]) -> dict[str, Lab]:
        target, sources = job
        references = [(prepared[index], weight) for index, weight in sources]
        result = srgb_to_lab(_recolor(target, references, matched_with, settings))
        progress.advance(1)
        baselines = _baselines(target, photographs[sources[0][0]])
        return {
            **{name: colorize(target.grey) for name, colorize in baselines.items()},
            "transfer function*": _keep_lightness(hindsight(target.grey), target.grey),
            "medcolor": result,
            "medcolor, lightness kept": _keep_lightness(result, target.grey),
            "truth": target.truth,
        }

    jobs = [(target, chosen[z]) for z, target in zip(numbers, targets, strict=True)]
    results = map_slices(recolor, jobs, threads)
    report = ColorReport()
    for z, target, colored in zip(numbers, targets, results, strict=True):
        for method, lab in colored.items():
            figures = measure(lab, target.truth, target.reference.tissue, target.grey)
            report.add(_CASE, method, z, figures)
        if pictures is not None and z % _PICTURES_EVERY == 0:
            pictures.mkdir(parents=True, exist_ok=True)
            shown = [target.truth, colored["medcolor"]]
            pair = np.concatenate([lab_to_srgb(lab) for lab in shown], axis=1)
            name = f"recolored-{Path(target.reference.reference_id).stem}.png"
            write_png(pictures / name, np.rint(255 * pair).astype(np.uint8))
    if pictures is not None:
        report.write(pictures / "color.parquet")
    return (
        f"{len(results)} photographs recoloured, references at least {distance_mm:g} mm away\n"
        f"{report.table(_CASE)}\n(* fitted to the truth with hindsight)\n{LEGEND}"
    )


def _baselines(target: _Photograph, reference: _Photograph) -> dict[str, Colorizer]:
    """Return what colours by statistics of one reference; all but Reinhard keep the lightness."""
    tissue, greys = reference.reference.tissue, target.grey[target.reference.tissue]
    colors, look_up = reference.truth[tissue], GreyTransfer()
    look_up.fit(reference.grey[tissue], colors)
    named: dict[str, Colorizer] = {"look-up": lambda grey: _keep_lightness(look_up(grey), grey)}
    return by_statistics([(reference.truth, tissue)], colors, greys, named)


def _disguise(photograph: _Photograph, seed: int) -> _Photograph:
    """Return a photograph bent, turned a little, and grey as if by another modality.

    Its grey is a curve of its luminance that rises and dips, times a smooth field, with noise:
    what a T1-weighted scan does to it, as far as luminance alone tells tissues.
    """
    random = np.random.default_rng([_DISGUISE, seed])
    shape = photograph.grey.shape
    row, col = np.meshgrid(*(np.arange(side) for side in shape), indexing="ij")
    angle, centre = np.deg2rad(random.uniform(-8, 8)), np.array(shape)[:, None, None] / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = np.einsum("ij,j...->i...", turn, np.stack([row, col]) - centre) + centre
    place = (turned + np.stack([bend(random, shape) for _ in range(2)])).astype(np.float32)

    def warp(image: np.ndarray, how: int) -> np.ndarray:
        return np.asarray(cv2.remap(image, place[1], place[0], how))

    tissue = warp(photograph.reference.tissue.astype(np.uint8), cv2.INTER_NEAREST) > 0
    rgb = np.where(tissue[..., None], warp(photograph.reference.rgb, cv2.INTER_LINEAR), 0)
    reference = ReferenceSlice(photograph.reference.reference_id, rgb.astype(np.uint8), tissue)
    plain = _Photograph(reference, photograph.position_mm)
    field = 1 + 0.03 * bend(random, shape)
    shown = np.interp(plain.grey, *_LIKE_T1) * field + 0.02 * random.standard_normal(shape)
    disguised = np.where(tissue, np.clip(shown, 0, 1), 0).astype(np.float32)
    return _Photograph(reference, photograph.position_mm, disguised)


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
    spacing = float(np.diff(positions).mean())
    retrieval = replace(settings.retrieval, order="names", direction="stated")

    def assign(z: int) -> float:
        far = _far(positions, positions[z], distance_mm)
        # Photographs run toward the feet, the slices of a scan toward the head.
        choice = choose_references(
            descriptors[::-1], descriptors[far], positions[far], spacing, retrieval
        )
        return float(positions[far[choice.chosen[len(positions) - 1 - z]]])

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
        far = _far(positions, position, distance_mm)
        around = references_around(place, positions[far], settings.retrieval)
        chosen.append([(int(far[index]), weight) for index, weight in around])
    return chosen


def _far(
    positions: Float[np.ndarray, " photograph"], position: float, distance_mm: float
) -> Int[np.ndarray, " far"]:
    """Return which photographs are no nearer to a position than `distance_mm`."""
    far = np.flatnonzero(np.abs(positions - position) >= distance_mm)
    if len(far) == 0:
        raise InputError("evaluate color", "no reference is far enough", "Lower --distance-mm")
    return far


def _recolor(
    photograph: _Photograph,
    references: list[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: RunSettings,
) -> Float[np.ndarray, "row col 3"]:
    """Colour the luminance of one photograph from others; sRGB 0..1."""
    grey, tissue = photograph.grey, photograph.reference.tissue
    curve = tone_curve(grey[tissue], settings.features.equalization)
    matched = np.interp(grey, np.linspace(0, 1, len(curve)), curve).astype(np.float32)
    statistics = measure_scan(
        [(grey, tissue)],
        (1.0, 1.0),
        settings.features.working_size_px,
        window=(0.0, 1.0),
        is_hounsfield=False,
        air_below=0.0,
    )
    target = TargetSlice(grey, matched, tissue, 0, grey, SQUARE)
    colored = colorize_slice(target, references, network, settings, statistics, Stopwatch())
    return colored.rgba[..., :3].astype(np.float32) / 255


def _keep_lightness(
    lab: Float[np.ndarray, "row col 3"], grey: Float[np.ndarray, "row col"]
) -> Float[np.ndarray, "row col 3"]:
    """Replace L* by that of the target, which shows its own luminance."""
    return with_lightness(lightness(grey), lab[..., 1:])
