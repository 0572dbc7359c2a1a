"""Whether fc6 alone finds the level of the body: no assignment along the stack helps here."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import spearmanr

from medcolor.color import grey_of
from medcolor.config import RunSettings
from medcolor.domain import TargetSlice
from medcolor.errors import InputError
from medcolor.evaluate.features.pairs import PhantomCase, matched_scan, phantom_tissue, remap
from medcolor.features.extract import describe
from medcolor.features.network import GrayVGG19
from medcolor.phantom import make_phantom, render_cryosection, render_ct
from medcolor.prepared import described_picture
from medcolor.reference.library import list_references, load_reference
from medcolor.retrieval.assignment import cosine_similarity
from medcolor.run.threads import map_slices, usable_cores
from medcolor.volume.open import open_volume
from medcolor.volume.target import TargetReader

Descriptors = Float[np.ndarray, "image descriptor"]


@dataclass(frozen=True)
class GreyPhotograph:
    """A photograph as the network sees it."""

    name: str
    grey: Float[np.ndarray, "row col"]
    tissue: Bool[np.ndarray, "row col"]
    position_mm: float


def read_photographs(folder: Path, settings: RunSettings) -> list[GreyPhotograph]:
    """Read a folder of cryosections with positions in their names."""
    photographs = []
    for record in list_references(folder, settings.reference):
        if record.position_mm is None:
            raise InputError(folder, "names carry no positions", "Name the files by their mm")
        reference = load_reference(record, settings.reference)
        grey = grey_of(reference.rgb.astype(np.float32) / 255)
        photographs.append(
            GreyPhotograph(record.reference_id, grey, reference.tissue, record.position_mm)
        )
    return photographs


def read_scan(path: Path, settings: RunSettings) -> tuple[list[TargetSlice], float]:
    """Read every slice of a scan as the product does; return them and their distance in mm."""
    with tempfile.TemporaryDirectory() as staging:
        volume = open_volume(path, settings.volume, Path(staging))
        reader = TargetReader.finding(volume, settings.volume, settings.features.equalization)
        slices = [reader(z) for z in range(volume.geometry.shape[0])]
        return slices, volume.geometry.spacing_mm[0]


def describe_photographs(photographs: Sequence[GreyPhotograph], network: GrayVGG19) -> Descriptors:
    """Return the descriptor of every photograph."""

    def one(photograph: GreyPhotograph) -> Float[np.ndarray, " descriptor"]:
        return describe(network, photograph.grey, photograph.tissue)

    return np.stack(map_slices(one, photographs, usable_cores()))


def share_near(
    photographs: Sequence[GreyPhotograph], network: GrayVGG19, seed: int, *, within_mm: float
) -> float:
    """Return how often the best other photograph of one with changed tones is a near one.

    Photographs without another within `within_mm` are not asked; NaN if there are no others.
    """
    random = np.random.default_rng(seed)
    changed = [
        GreyPhotograph(p.name, remap(p.grey, p.tissue, random), p.tissue, p.position_mm)
        for p in photographs
    ]
    similarity = cosine_similarity(
        describe_photographs(changed, network), describe_photographs(photographs, network)
    ).copy()
    np.fill_diagonal(similarity, -np.inf)
    positions = np.array([p.position_mm for p in photographs])
    distance = np.abs(positions[:, None] - positions)
    np.fill_diagonal(distance, np.inf)
    asked = distance.min(axis=1) <= within_mm
    if not asked.any():
        return math.nan
    found = distance[np.arange(len(positions)), similarity.argmax(axis=1)]
    return float((found[asked] <= within_mm).mean())


def rank_correlation(
    slices: Sequence[TargetSlice],
    photographs: Sequence[GreyPhotograph],
    network: GrayVGG19,
) -> float:
    """Return |Spearman's rho| of slice number and position of the most similar photograph."""
    shown = [part for part in slices if part.body.any()]

    def one(part: TargetSlice) -> Float[np.ndarray, " descriptor"]:
        return describe(network, *described_picture(part))

    descriptors = np.stack(map_slices(one, shown, usable_cores()))
    similarity = cosine_similarity(descriptors, describe_photographs(photographs, network))
    positions = np.array([photograph.position_mm for photograph in photographs])
    best = positions[similarity.argmax(axis=1)]
    rho = spearmanr([part.z for part in shown], best).statistic
    return float(abs(rho))


def share_of_levels(
    case: PhantomCase, network: GrayVGG19, equalization: float, *, within_mm: float
) -> float:
    """Return how often the best photograph of another phantom shows the level of a CT slice.

    The level is canonical height: the same bones, whatever the length of the body.
    """
    target = make_phantom(case.target_seed, region=case.region, spacing_mm=case.spacing_mm)
    reference = make_phantom(case.reference_seed, region=case.region, spacing_mm=case.spacing_mm)
    frames = render_cryosection(reference)
    heights, heights2 = target.canonical_z_mm(), reference.canonical_z_mm()
    photographs = []
    for z, height in enumerate(heights2):
        tissue = phantom_tissue(reference, z)
        if tissue.any():
            grey = grey_of(frames[z].astype(np.float32) / 255)
            photographs.append(GreyPhotograph(str(z), grey, tissue, float(height)))
    scan = matched_scan(render_ct(target), equalization)

    def one(z: int) -> Float[np.ndarray, " descriptor"] | None:
        body = phantom_tissue(target, z)
        return describe(network, scan[z], body) if body.any() else None

    low, high = heights2.min() - within_mm, heights2.max() + within_mm
    asked = [z for z in range(len(scan)) if low <= heights[z] <= high]
    described = map_slices(one, asked, usable_cores())
    shown = [(z, d) for z, d in zip(asked, described, strict=True) if d is not None]
    similarity = cosine_similarity(
        np.stack([d for _, d in shown]), describe_photographs(photographs, network)
    )
    found = np.array([photograph.position_mm for photograph in photographs])
    error = np.abs(found[similarity.argmax(axis=1)] - heights[[z for z, _ in shown]])
    return float((error <= within_mm).mean())
