"""Bidirectional matching from relu5_1 down to relu1_1 (DESIGN.md beside this file)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch

from medcolor.features.network import LEVEL_NAMES, GrayVGG19, TapNetwork
from medcolor.features.pyramid import FeaturePyramid
from medcolor.matching.field import Correspondence, NearestNeighborField
from medcolor.matching.settings import MatchingSettings

GPU_PROBLEMS = 4
"""Pairs of one shape whose A' and B a GPU reconstructs together."""

Watch = Callable[[int, NearestNeighborField, NearestNeighborField], None]
Field = TypeVar("Field")
Features = TypeVar("Features")
Lesson = TypeVar("Lesson")


@runtime_checkable
class Pairs(Protocol[Field, Features, Lesson]):
    """What searches pairs: one on a CPU (`one_pair.py`), many at once on a GPU (`many_pairs.py`).

    A field holds both directions; levels have an index, 0 is relu1_1.
    """

    def search_top(self) -> Field:
        """Search the coarsest level, where nothing is known yet."""

    def features(self, index: int, above: Field) -> Features:
        """Return what is compared at a level: features, with A' and B where these are made."""

    def learn_tone(self, index: int, above: Field) -> Lesson:
        """Return what the field of the level above teaches of tone for a level."""

    def search(self, index: int, features: Features, lesson: Lesson, above: Field) -> Field:
        """Carry the field to a level and search there."""

    def finish(self, index: int, field: Field) -> Correspondence:
        """Enlarge the field of the last level that was searched to pixels, and judge it."""

    def directions(self, field: Field) -> tuple[NearestNeighborField, NearestNeighborField]:
        """Return what the slices find in their photographs, and these in them."""


@torch.no_grad()
def match_coarse_to_fine(
    targets: Sequence[FeaturePyramid],
    references: Sequence[FeaturePyramid],
    settings: MatchingSettings,
    network: TapNetwork | None = None,
    watch: Watch | None = None,
) -> Correspondence:
    """Match every slice with its photograph in both directions; background is never a match.

    The result lies on the grids of the working images, padding to whole cells included; pairs of
    several shapes share a canvas. What a pair finds does not depend on the others.

    Args:
        targets: Features of the slice of each pair.
        references: Those of its photograph.
        settings: Which search, and whether A' and B are reconstructed on the way.
        network: Whose features they are; needed for reconstruction alone.
        watch: Told the level and both fields whenever one is done, coarse to fine.

    Raises:
        ValueError: If a reconstruction is asked for without a gray-VGG19 to invert, or the images
            lie on several devices.
    """
    if settings.deconvolution_evaluations and not isinstance(network, GrayVGG19):
        raise ValueError("matching.deconvolution_evaluations > 0 needs a gray-VGG19 to invert")
    pairs = list(zip(targets, references, strict=True))
    devices = {image.tissue.device for pair in pairs for image in pair}
    if len(devices) != 1:
        raise ValueError(f"images on several devices: {sorted(map(str, devices))}")
    if devices.pop().type == "cpu":
        from medcolor.matching.one_pair import OnePair  # GPU machines need no Numba,

        one_by_one = [OnePair(*pair, settings, network) for pair in pairs]
        return Correspondence.on_one_canvas([_match(one, settings, watch) for one in one_by_one])
    from medcolor.matching.many_pairs import ManyPairs  # others no Triton

    if not settings.deconvolution_evaluations:
        return _match(ManyPairs.of(pairs, settings, network), settings, watch)
    # What is reconstructed goes through the network together, so shapes must be alike; and always
    # as many, the last one again and again, as bits must not depend on how many there are.
    alike: defaultdict[tuple[torch.Size, ...], list[int]] = defaultdict(list)
    for number, (target, reference) in enumerate(pairs):
        alike[target.tissue.shape, reference.tissue.shape].append(number)
    found: dict[int, Correspondence] = {}
    for numbers in alike.values():
        for first in range(0, len(numbers), GPU_PROBLEMS):
            some = numbers[first : first + GPU_PROBLEMS]
            filled = some + some[-1:] * (GPU_PROBLEMS - len(some))
            many = ManyPairs.of([pairs[number] for number in filled], settings, network)
            matched = _match(many, settings, watch)
            found |= {number: matched[at : at + 1] for at, number in enumerate(some)}
    return Correspondence.on_one_canvas([found[number] for number in range(len(pairs))])


def _match(
    pairs: Pairs[Field, Features, Lesson], settings: MatchingSettings, watch: Watch | None
) -> Correspondence:
    """Search from the coarsest level to the finest."""
    top, finest = len(LEVEL_NAMES) - 1, settings.finest_index
    field = pairs.search_top()
    if watch:
        watch(top, *pairs.directions(field))
    for index in range(top - 1, finest - 1, -1):
        features = pairs.features(index, field)
        lesson = pairs.learn_tone(index, field)
        field = pairs.search(index, features, lesson, field)
        if watch:
            watch(index, *pairs.directions(field))
    return pairs.finish(finest, field)
