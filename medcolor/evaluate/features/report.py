"""The whole report of `medcolor evaluate features`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from medcolor.body import bounding_box
from medcolor.config import RunSettings
from medcolor.domain import Box, TargetSlice
from medcolor.errors import InputError
from medcolor.evaluate.features.misses import MissRates, count_misses
from medcolor.evaluate.features.pairs import (
    Pair,
    PhantomCase,
    View,
    deformed_pair,
    phantom_pairs,
    view_of,
)
from medcolor.evaluate.features.retrieval import (
    GreyPhotograph,
    rank_correlation,
    read_photographs,
    read_scan,
    share_near,
    share_of_levels,
)
from medcolor.evaluate.features.rivals import (
    DistilledVGG19,
    random_network,
    raw_patches,
)
from medcolor.features.network import LEVEL_NAMES, GrayVGG19, TapNetwork
from medcolor.phantom import Region
from medcolor.prepared import described_picture
from medcolor.progress import ProgressReport
from medcolor.run.plan import open_network
from medcolor.run.threads import map_slices, usable_cores

Item = TypeVar("Item")

_SLICES_PER_SET = 24
_PHANTOM_SPACING_MM: dict[Region, float] = {"head": 2.0, "trunk": 3.0}
_PHANTOM_EVERY = {"head": 8, "trunk": 12}
_ALL_PHANTOMS = "phantoms together"
_NEAR_MM = 10.0
_LEVEL_MM = 20.0


@dataclass(frozen=True, kw_only=True)
class FeatureEvaluation:
    """What to measure; sets whose files are not given are left out."""

    photographs: Path | None = None
    """Real cryosections, positions in mm in their names."""

    mri: Path | None = None
    """A real MRI."""

    ct: Path | None = None
    """A real CT of the part of the body that the photographs show."""

    distilled: Path | None = None
    """distilled-vgg19-16x.pth."""

    seed: int = 0
    """Decides deformations, tones, cells asked and the phantoms' persons."""


@dataclass(frozen=True)
class _Rival:
    name: str
    extract: TapNetwork
    patch_px: int


@dataclass
class _Tally:
    """Misses by set and rival."""

    rates: defaultdict[tuple[str, str], MissRates] = field(
        default_factory=lambda: defaultdict(MissRates)
    )

    def table(self, rivals: Iterable[_Rival]) -> str:
        """Return misses in per cent, a block a set."""
        names = [rival.name for rival in rivals]
        sets = list(dict.fromkeys(name for name, _ in self.rates))
        sets.sort(key=_ALL_PHANTOMS.__eq__)  # the sum comes last
        lines = []
        for name in sets:
            lines += ["", f"{name:30s}" + "".join(f"{level:>9s}" for level in LEVEL_NAMES)]
            for rival in names:
                rates = self.rates[name, rival]
                cells = [_percent(rates.rate(level)) for level in LEVEL_NAMES]
                lines.append(f"{rival:30s}" + "".join(f"{cell:>9s}" for cell in cells))
        return "\n".join(lines[1:])


def _percent(rate: float) -> str:
    return "-" if math.isnan(rate) else f"{100 * rate:.1f}"


def evaluate_features(
    what: FeatureEvaluation, settings: RunSettings, progress: ProgressReport
) -> str:
    """Measure the network of `settings` against its rivals and return the report.

    Raises:
        InputError: A file that cannot be used, or a CT without photographs.
    """
    if what.ct is not None and what.photographs is None:
        raise InputError("--ct", "no photographs to find it among", "Add --photographs")
    network = open_network(settings).module
    rivals = _rivals(network, settings, what)
    photographs = [] if what.photographs is None else read_photographs(what.photographs, settings)
    scans = {
        words: read_scan(path, settings)[0]
        for words, path in (("CT", what.ct), ("MRI", what.mri))
        if path is not None
    }
    tally = _Tally()
    sets = _sets(photographs, scans.get("MRI", []), what.seed, settings)
    progress.begin("match", len(sets))
    for name, pairs in sets.items():
        _count(name, pairs, rivals, what.seed, tally)
        progress.advance(1)
    words = "misses in per cent: nearest neighbour among all tissue cells, a cell's tolerance"
    retrieval = _retrieval(photographs, scans, what.seed, network, settings)
    return "\n".join([words, "", tally.table(rivals), "", *retrieval])


def _rivals(network: GrayVGG19, settings: RunSettings, what: FeatureEvaluation) -> list[_Rival]:
    patch_px = settings.matching.patch_px[0]
    rivals = [
        _Rival(network.spec.name, _between_cpu(network), patch_px),
        _Rival("random weights", random_network(network.spec, what.seed), patch_px),
        _Rival("raw 5x5 patches", raw_patches, 1),
    ]
    if what.distilled is not None:
        rivals.append(_Rival("distilled VGG-19", DistilledVGG19(what.distilled), patch_px))
    return rivals


def _between_cpu(network: GrayVGG19) -> TapNetwork:
    """Return the network as one that takes and gives tensors of the CPU, as its rivals do."""

    def extract(luminance: Tensor) -> list[Tensor]:
        return [tap.cpu() for tap in network(luminance.to(network.device))]

    return extract


def _sets(
    photographs: list[GreyPhotograph], mri: list[TargetSlice], seed: int, settings: RunSettings
) -> dict[str, list[Pair]]:
    """Return all pairs by the name of their set."""
    size_px = settings.features.working_size_px
    sets: dict[str, list[Pair]] = {}
    if photographs:
        views = []
        for photograph in _spread(photographs):
            rows, cols = photograph.tissue.shape
            box = Box(0, rows, 0, cols)
            views.append(view_of(photograph.grey, photograph.tissue, box, size_px))
        sets["cryosections, deformed"] = _deformed(views, seed)
    if mri:
        views = []
        for part in _spread(mri):
            grey, body = described_picture(part)
            shown = bounding_box(body)
            if shown is not None:
                views.append(view_of(grey, body, shown, size_px))
        sets["MRI, deformed"] = _deformed(views, seed + 1)
    for case in _cases(seed):
        every = _PHANTOM_EVERY[case.region]
        equalization = settings.features.equalization
        for modality, pair in phantom_pairs(case, every, size_px, equalization):
            sets.setdefault(f"phantom {case.region} {modality}", []).append(pair)
    return sets


def _cases(seed: int) -> list[PhantomCase]:
    """Return two persons' head and trunk; persons of other seeds are others."""
    return [
        PhantomCase(region, spacing_mm, 100 + 2 * seed, 101 + 2 * seed)
        for region, spacing_mm in _PHANTOM_SPACING_MM.items()
    ]


def _spread(items: list[Item]) -> list[Item]:
    """Return items spread evenly, without the very ends, where little is shown."""
    at = np.linspace(0.04, 0.96, min(_SLICES_PER_SET, len(items))) * (len(items) - 1)
    return [items[index] for index in np.unique(np.rint(at).astype(int))]


def _deformed(views: list[View], seed: int) -> list[Pair]:
    return [
        deformed_pair(view, np.random.default_rng((seed, number)))
        for number, view in enumerate(views)
    ]


def _count(name: str, pairs: list[Pair], rivals: list[_Rival], seed: int, tally: _Tally) -> None:
    """Add all pairs of a set for all rivals."""

    def one(job: tuple[int, Pair, _Rival]) -> tuple[str, MissRates]:
        number, pair, rival = job
        rates = MissRates()
        count_misses(pair, rival.extract, rival.patch_px, seed + number, rates)
        return rival.name, rates

    jobs = [(n, pair, rival) for n, pair in enumerate(pairs) for rival in rivals]
    for rival_name, rates in map_slices(one, jobs, usable_cores()):
        kinds = [name, _ALL_PHANTOMS] if name.startswith("phantom") else [name]
        for kind in kinds:
            tally.rates[kind, rival_name].add(rates)


def _retrieval(
    photographs: list[GreyPhotograph],
    scans: dict[str, list[TargetSlice]],
    seed: int,
    network: GrayVGG19,
    settings: RunSettings,
) -> Iterator[str]:
    yield "fc6 alone, the most similar photograph of every slice"
    if photographs:
        share = share_near(photographs, network, seed, within_mm=_NEAR_MM)
        yield f"photographs with other tones: {100 * share:.1f} % within {_NEAR_MM:g} mm"
        for words, slices in scans.items():
            rho = rank_correlation(slices, photographs, network)
            yield f"{words}: rank correlation of slice and position {rho:.3f}"
    case = _cases(seed)[1]
    share = share_of_levels(case, network, settings.features.equalization, within_mm=_LEVEL_MM)
    yield f"phantom trunk CT, another person: {100 * share:.1f} % within {_LEVEL_MM:g} mm"
