"""Whether slices find their place among photographs, whatever is wrong with names and frames.

The product's own search for orientation, order and course is given a scan and photographs whose
places are known: as they are, and spoilt. Real photographs carry their places in their names;
phantoms know the level of every slice of both persons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import spearmanr

from medcolor.color import grey_of
from medcolor.config import RunSettings
from medcolor.evaluate.features.pairs import matched_scan, phantom_tissue
from medcolor.evaluate.features.retrieval import read_photographs, read_scan
from medcolor.features.extract import describe
from medcolor.features.network import GrayVGG19
from medcolor.phantom import make_phantom, render_cryosection, render_ct
from medcolor.prepared import described_picture
from medcolor.progress import ProgressReport
from medcolor.reference.orientation import CODES, VIEW, from_view, to_view
from medcolor.retrieval.assignment import choose_references
from medcolor.retrieval.orientation import find_turn
from medcolor.retrieval.record import Bearing
from medcolor.run.plan import open_network
from medcolor.run.threads import map_slices, usable_cores

_PERSONS = (1, 2), (3, 4)
_PHANTOM_MM = 5.0

Picture = tuple[Float[np.ndarray, "_row _col"], Bool[np.ndarray, "_row _col"]]
"""What the network is shown of a slice or a photograph, and where its body is."""


@dataclass(frozen=True)
class _Spoilt:
    """What was done to the material."""

    name: str
    photographs_lie: str = VIEW
    """How the photographs lie once read as presumed."""

    shuffled: bool = False
    """Whether files were shuffled and named by other numbers."""

    numbered: bool = False
    """Whether files are merely numbered, 1, 2, 3, in their order."""

    reversed_scan: bool = False


_WAYS = (
    _Spoilt("as they are"),
    _Spoilt("files shuffled and renamed", shuffled=True),
    _Spoilt("files numbered in their order", numbered=True),
    _Spoilt("photographs unflipped", photographs_lie="LA"),
    _Spoilt("photographs turned by a quarter", photographs_lie="PR"),
    _Spoilt("photographs mirrored", photographs_lie="RP"),
    _Spoilt("scan reversed", reversed_scan=True),
    _Spoilt("all of it", photographs_lie="LA", shuffled=True, reversed_scan=True),
)


@dataclass(frozen=True)
class Extract:
    """What is left of scan and photographs: others have less than whole bodies of both."""

    photographs: int | None = None
    """That many, evenly spread; None: all."""

    part: tuple[float, float] = (0.0, 1.0)
    """Of the stack, from its first slice (0) to its last (1)."""

    def of_photographs(self, count: int) -> Int[np.ndarray, " photograph"]:
        """Return the numbers of those that are left."""
        if self.photographs is None or self.photographs >= count:
            return np.arange(count)
        return np.linspace(0, count - 1, self.photographs + 2).round().astype(int)[1:-1]

    def of_slices(self, depth: int) -> Int[np.ndarray, " slice"]:
        """Return the numbers of those that are left; one at least."""
        start = min(int(self.part[0] * depth), depth - 1)
        return np.arange(start, max(start + 1, round(self.part[1] * depth)))


_WHOLE = Extract()


@dataclass(frozen=True)
class _Material:
    """Slices and photographs, and where the photographs lie."""

    slices: _Describer
    photographs: _Describer
    depth: int
    """Slices."""

    positions_mm: Float[np.ndarray, " photograph"]
    """Growing toward the feet; slices run toward the head."""

    slice_step_mm: float


def evaluate_places(
    scan: Path,
    photographs: Path,
    settings: RunSettings,
    progress: ProgressReport,
    extract: Extract = _WHOLE,
) -> str:
    """Return a table of how the slices of a real scan are placed among real photographs.

    Raises:
        InputError: If the photographs do not carry their places in mm in their names.
    """
    shown, step_mm = read_scan(scan, settings)
    shown = [shown[z] for z in extract.of_slices(len(shown))]
    read = read_photographs(photographs, settings)
    read = [read[number] for number in extract.of_photographs(len(read))]
    network = open_network(settings).module
    material = _Material(
        _Describer([described_picture(part) for part in shown], network),
        _Describer([(photograph.grey, photograph.tissue) for photograph in read], network),
        len(shown),
        np.array([photograph.position_mm for photograph in read]),
        step_mm,
    )
    lines = [f"{'':34}{'rank':>8}{'jump mm':>9}  monotone  found"]
    progress.begin("places", len(_WAYS))
    for way in _WAYS:
        chosen, bearing = _place(material, way, settings)
        places = material.positions_mm[chosen]
        steps = np.diff(places)
        rank = _rank_correlation(places)
        monotone = bool((steps <= 0).all() or (steps >= 0).all())
        jump = np.abs(steps).max(initial=0)
        lines.append(
            f"{way.name:34}{rank:8.4f}{jump:9.1f}  {'yes' if monotone else 'NO':8}  {bearing}"
        )
        progress.advance(1)
    return "\n".join(lines)


def _rank_correlation(places: Float[np.ndarray, " slice"]) -> float:
    """Return |Spearman's rho| of slices and their places; NaN where all have one place."""
    if len(set(places.tolist())) < 2:
        return math.nan
    return abs(float(spearmanr(np.arange(len(places)), places).statistic))


def evaluate_phantom_places(
    settings: RunSettings, progress: ProgressReport, extract: Extract = _WHOLE
) -> str:
    """Return a table of level errors of phantom CT, head and trunk, against another person."""
    lines = [f"{'':46}{'within 20 mm':>13}{'95 % within':>13}{'worst':>8}  found"]
    progress.begin("places", len(_PERSONS) * len(_WAYS))
    for seed, other in _PERSONS:
        material, heights, levels = _phantoms(seed, other, settings, extract)
        for way in _WAYS:
            chosen, bearing = _place(material, way, settings)
            error = np.abs(levels[chosen] - (heights[::-1] if way.reversed_scan else heights))
            lines.append(
                f"{f'person {seed} from {other}, {way.name}':46}{np.mean(error <= 20):13.1%}"
                f"{np.percentile(error, 95):10.1f} mm{error.max():8.1f}  {bearing}"
            )
            progress.advance(1)
    return "\n".join(lines)


class _Describer:
    """Describes pictures in every way to lie, each once."""

    def __init__(self, pictures: Sequence[Picture], network: GrayVGG19) -> None:
        self._pictures, self._network = pictures, network
        self._known: dict[tuple[int, str], Float[np.ndarray, " descriptor"]] = {}

    def __call__(
        self, numbers: Sequence[int], codes: tuple[str, ...]
    ) -> Float[np.ndarray, "picture code descriptor"]:
        jobs = [(number, code) for number in numbers for code in codes]
        missing = [job for job in dict.fromkeys(jobs) if job not in self._known]
        made = map_slices(self._describe, missing, usable_cores())
        self._known.update(zip(missing, made, strict=True))
        described = np.stack([self._known[job] for job in jobs])
        return described.reshape(len(numbers), len(codes), -1)

    def _describe(self, job: tuple[int, str]) -> Float[np.ndarray, " descriptor"]:
        number, code = job
        grey, body = (np.ascontiguousarray(from_view(p, code)) for p in self._pictures[number])
        if not body.any():
            return np.zeros(self._network.spec.descriptor_size, np.float32)
        return describe(self._network, grey, body)


def _place(
    material: _Material, way: _Spoilt, settings: RunSettings
) -> tuple[Int[np.ndarray, " slice"], Bearing]:
    """Spoil the material and place the slices as the product does; return true photographs."""
    count, depth = len(material.positions_mm), material.depth
    files = np.random.default_rng(0).permutation(count) if way.shuffled else np.arange(count)
    stack = np.arange(depth)[:: -1 if way.reversed_scan else 1]

    def describe_slices(
        numbers: Sequence[int], codes: tuple[str, ...]
    ) -> Float[np.ndarray, "slice code descriptor"]:
        return material.slices([int(stack[z]) for z in numbers], codes)

    references = material.photographs(files.tolist(), (way.photographs_lie,))[:, 0]
    positions = material.positions_mm
    if way.shuffled or way.numbered:
        positions = np.arange(1.0, count + 1)
    turn = find_turn(describe_slices, depth, material.slice_step_mm, references)
    # As the product does: described anew, as they were found to lie.
    seen = _seen_as(way.photographs_lie, turn.code)
    references = material.photographs(files.tolist(), (seen,))[:, 0]
    descriptors = describe_slices(range(depth), (VIEW,))[:, 0]
    choice = choose_references(
        descriptors, references, positions, material.slice_step_mm, settings.retrieval
    )
    bearing = Bearing.of(choice, turn, settings.reference.presumed_orientation)
    return files[choice.chosen], bearing


def _seen_as(lying: str, read: str) -> str:
    """Return how photographs that lie in one way seem to lie once they are read as another."""
    probe = np.arange(6).reshape(2, 3)
    seen = to_view(from_view(probe, lying), read)
    return next(code for code in CODES if np.array_equal(from_view(probe, code), seen))


def _phantoms(
    seed: int, other: int, settings: RunSettings, extract: Extract
) -> tuple[_Material, Float[np.ndarray, " slice"], Float[np.ndarray, " photograph"]]:
    """Return CT and photographs of two phantoms, and the canonical heights of both."""
    target, reference = (
        make_phantom(one, region="whole", spacing_mm=_PHANTOM_MM) for one in (seed, other)
    )
    network = open_network(settings).module
    scan = matched_scan(render_ct(target), settings.features.equalization)
    frames = render_cryosection(reference)
    kept = extract.of_slices(len(scan))
    slices = [(scan[z], phantom_tissue(target, z)) for z in kept]
    shown = [z for z in range(len(frames))[::-1] if phantom_tissue(reference, z).any()]
    levels = np.array(shown)[extract.of_photographs(len(shown))]
    photographs = [
        (grey_of(frames[z].astype(np.float32) / 255), phantom_tissue(reference, z)) for z in levels
    ]
    positions = _PHANTOM_MM * (levels[0] - levels).astype(float)
    material = _Material(
        _Describer(slices, network),
        _Describer(photographs, network),
        len(slices),
        positions,
        _PHANTOM_MM,
    )
    return material, target.canonical_z_mm()[kept], reference.canonical_z_mm()[levels]
