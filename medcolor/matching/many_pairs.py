"""How many pairs are searched at once on a GPU: each step is one kernel or two for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medcolor.errors import InputError
from medcolor.features.network import LEVEL_NAMES, GrayVGG19, TapNetwork
from medcolor.features.pyramid import FeaturePyramid
from medcolor.matching.field import Correspondence, NearestNeighborField
from medcolor.matching.finish_triton import enlarge
from medcolor.matching.global_triton import search_everywhere
from medcolor.matching.kernels import LESSON
from medcolor.matching.reconstruct import joined_features
from medcolor.matching.searches import Searches
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.tone_triton import learn_tone
from medcolor.matching.window_triton import search_window

_TOP = len(LEVEL_NAMES) - 1
Lessons = Float[Tensor, "pair lesson"]


@dataclass(frozen=True)
class ManyPairs:
    """Slices and photographs (see `coarse_to_fine.Pairs`); a field holds 2 searches a pair."""

    searches: Searches
    pairs: Sequence[tuple[FeaturePyramid, FeaturePyramid]]
    settings: MatchingSettings
    network: TapNetwork | None

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[FeaturePyramid, FeaturePyramid]],
        settings: MatchingSettings,
        network: TapNetwork | None,
    ) -> ManyPairs:
        """Tell the kernels where the images lie.

        Raises:
            InputError: If the settings ask for what runs on CPUs alone.
        """
        if settings.needs_cpu:
            raise InputError(
                f"matching.{settings.needs_cpu}",
                "it runs on CPUs alone, and the network lies on a GPU",
                "Use search=window and propagation=0, or compute.device=cpu",
            )
        return cls(Searches.of(pairs), pairs, settings, network)

    def search_top(self) -> NearestNeighborField:
        """Search all pairs of cells, near the same place of the body."""
        device = self.searches.table.device
        nothing = torch.zeros(self.searches.count, LESSON.value, device=device)
        return self._everywhere(_TOP, self.searches, nothing, None)

    def features(self, index: int, above: NearestNeighborField) -> Searches:
        """Return the searches; of features joined with A' and B if these are reconstructed."""
        if not (self.settings.deconvolution_evaluations and isinstance(self.network, GrayVGG19)):
            return self.searches
        forward, backward = (field.position.long() for field in self.directions(above))
        own, other = (FeaturePyramid.stacked(images) for images in zip(*self.pairs, strict=True))
        (rows, cols), (rows2, cols2) = (
            (image.tissue.shape[1] >> index + 1, image.tissue.shape[2] >> index + 1)
            for image in (own, other)
        )
        joined = joined_features(
            (forward[..., :rows, :cols], backward[..., :rows2, :cols2]),
            (own, other),
            index,
            self.network,
            self.settings,
        )
        first, second = (part.permute(0, 2, 3, 1).half().contiguous() for part in joined)
        return self.searches.with_features(index, first, second)

    def learn_tone(self, index: int, above: NearestNeighborField) -> Lessons:
        """Return the curve of every pair."""
        return learn_tone(self.searches, index, above, self.settings)

    def search(
        self, index: int, features: Searches, lesson: Lessons, above: NearestNeighborField
    ) -> NearestNeighborField:
        """Search around the upsampled matches, or everywhere."""
        if self.settings.search[_TOP - index] == "global":
            return self._everywhere(index, features, lesson, above)
        return search_window(
            features,
            index,
            above,
            lesson,
            radius_px=self.settings.radius_px[_TOP - 1 - index],
            patch_px=self.settings.patch_px[_TOP - index],
            has_tone=self.settings.tone_weight > 0,
        )

    def finish(self, index: int, field: NearestNeighborField) -> Correspondence:
        """Enlarge the field to pixels."""
        return enlarge(self.searches, index, field, self.settings.confidence_scale_px)

    def directions(
        self, field: NearestNeighborField
    ) -> tuple[NearestNeighborField, NearestNeighborField]:
        """Return the first half and the second."""
        return field[: self.searches.count], field[self.searches.count :]

    def _everywhere(
        self,
        index: int,
        features: Searches,
        lesson: Lessons,
        above: NearestNeighborField | None,
    ) -> NearestNeighborField:
        return search_everywhere(
            features,
            index,
            lesson,
            above,
            patch_px=self.settings.patch_px[_TOP - index],
            position_prior=self.settings.position_prior,
            has_tone=above is not None and self.settings.tone_weight > 0,
        )
