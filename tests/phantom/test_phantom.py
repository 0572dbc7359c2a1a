"""The phantom is one and the same person everywhere, built like a person, and looks the part."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from phantoms import digest
from scipy import ndimage

from medcolor.phantom import (
    Phantom,
    Region,
    Tissue,
    make_phantom,
    render_cryosection,
    render_ct,
    render_mri,
)

SEEDS = (1, 2, 3)
BRAIN = (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY)
BONE = (Tissue.CORTICAL_BONE, Tissue.SPONGY_BONE)

# Plausible volumes in litres, after ICRP Publication 89 (doi:10.1016/S0146-6453(03)00002-2),
# widened for the spread between persons; GREY and WHITE count the spinal cord too.
LITRES = {
    Tissue.LIVER: (1.1, 2.2),
    Tissue.SPLEEN: (0.04, 0.35),
    Tissue.LUNG: (2.2, 5.5),
    Tissue.KIDNEY_CORTEX: (0.1, 0.35),
    Tissue.HEART_MUSCLE: (0.12, 0.4),
    Tissue.CSF: (0.2, 0.75),
    Tissue.VITREOUS: (0.002, 0.015),
    Tissue.MUSCLE: (7.0, 22.0),
    Tissue.FAT: (8.0, 45.0),
}

# SHA-256 over labels, CT, T1, T2 and cryosection (gel) of the whole body at 6 mm, first 16 digits.
# Changing them changes what every figure measured on the phantom means: it is a decision to be
# recorded in LOG.md.
DIGESTS: dict[int, tuple[str, str, str, str, str]] = {
    1: (
        "8faff04f4b3baae8",
        "a08dca819c39a42e",
        "a079219acbdf9a2d",
        "08e779fde47ef56f",
        "bec33cfc2a660dbc",
    ),
    2: (
        "4dc65b890c2522b1",
        "2cf602f8b13ce7e7",
        "fcb0ee49ce2b3d75",
        "39ab54301e82e8f6",
        "02756731fa07332d",
    ),
    3: (
        "74243582edcbae1c",
        "cfa057a9cc7b7946",
        "8557b386a04d12c9",
        "12cf3f192f9462d9",
        "b38276c6e9285d71",
    ),
}


@cache
def person(seed: int, region: Region, spacing_mm: float) -> Phantom:
    """A phantom, built once for all tests."""
    return make_phantom(seed, region=region, spacing_mm=spacing_mm)


def is_any(phantom: Phantom, *tissues: Tissue) -> NDArray[np.bool_]:
    """Where the phantom is one of `tissues`."""
    return np.isin(phantom.labels, tissues)


def litres(phantom: Phantom, *tissues: Tissue) -> float:
    """Volume of some tissues."""
    return float(is_any(phantom, *tissues).sum()) * phantom.spacing_mm**3 / 1e6


def centroid_mm(phantom: Phantom, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middle (z, y, x) of a mask in mm."""
    middle = np.array([index.mean() for index in np.nonzero(mask)])
    return np.array(phantom.origin_mm) + middle * phantom.spacing_mm


def part_of(whole: Phantom, part: Phantom) -> NDArray[np.uint8]:
    """The labels of `whole` where `part` lies."""
    offset = (np.array(part.origin_mm) - whole.origin_mm) / whole.spacing_mm
    box = tuple(
        slice(round(o), round(o) + size) for o, size in zip(offset, part.labels.shape, strict=True)
    )
    return whole.labels[box]


def test_the_same_seed_gives_the_same_person_and_pictures_twice() -> None:
    first, second = (make_phantom(7, region="head", spacing_mm=8.0) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(render_ct(first), render_ct(second))
    assert np.array_equal(render_mri(first, "T2"), render_mri(second, "T2"))
    assert np.array_equal(render_cryosection(first), render_cryosection(second))


@pytest.mark.parametrize("seed", SEEDS)
def test_persons_and_pictures_are_the_frozen_ones(seed: int) -> None:
    phantom = person(seed, "whole", 6.0)
    volumes = (
        phantom.labels,
        render_ct(phantom),
        render_mri(phantom, "T1"),
        render_mri(phantom, "T2"),
        render_cryosection(phantom),
    )
    assert tuple(map(digest, volumes)) == DIGESTS[seed]


@pytest.mark.slow
@pytest.mark.parametrize("region", ["head", "trunk"])
def test_head_and_trunk_are_exact_parts_of_the_whole(region: Region) -> None:
    whole, part = person(1, "whole", 6.0), person(1, region, 6.0)
    assert np.array_equal(part_of(whole, part), part.labels)


def test_head_and_trunk_meet_without_gap_or_overlap() -> None:
    whole, head, trunk = (person(1, r, 6.0) for r in ("whole", "head", "trunk"))
    assert head.labels.shape[0] + trunk.labels.shape[0] == whole.labels.shape[0]
    assert trunk.origin_mm[0] + trunk.labels.shape[0] * 6.0 == head.origin_mm[0]


@pytest.mark.slow
@pytest.mark.parametrize(("region", "fine", "coarse"), [("head", 3.0, 6.0), ("trunk", 4.0, 8.0)])
def test_a_person_is_the_same_at_half_the_spacing(
    region: Region, fine: float, coarse: float
) -> None:
    strided = person(2, region, fine).labels[::2, ::2, ::2]
    labels = person(2, region, coarse).labels
    body = (strided > 0) | (labels > 0)
    assert (strided == labels).mean() > 0.95
    assert (strided == labels)[body].mean() > 0.80


def test_every_tissue_is_present_in_a_whole_body() -> None:
    found = set(np.unique(person(1, "whole", 4.0).labels).tolist())
    assert found == {int(tissue) for tissue in Tissue}


@pytest.mark.parametrize("seed", SEEDS)
def test_brain_volume_is_a_grown_persons(seed: int) -> None:
    assert 1.0 < litres(person(seed, "head", 4.0), *BRAIN) < 1.6


@pytest.mark.parametrize("seed", SEEDS)
def test_organ_volumes_are_a_grown_persons(seed: int) -> None:
    phantom = person(seed, "whole", 6.0)
    outside = {
        tissue.name: round(litres(phantom, tissue), 3)
        for tissue, (low, high) in LITRES.items()
        if not low < litres(phantom, tissue) < high
    }
    assert outside == {}


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_skull_is_four_to_eleven_millimetres_thick_above_the_ears(seed: int) -> None:
    phantom = person(seed, "head", 2.0)
    level = round((45.0 - phantom.origin_mm[0]) / 2.0)
    bone = is_any(phantom, *BONE)[level]
    case = ndimage.binary_fill_holes(bone)
    inside = case & ~bone
    ring_mm = 2.0 * bone.sum() / (0.5 * (_rim(case) + _rim(inside)))
    assert 4.0 < ring_mm < 11.0


def _rim(mask: NDArray[np.bool_]) -> float:
    """Circumference in pixels of a round shape, from its area (2 sqrt(pi area))."""
    return float(2 * np.sqrt(np.pi * mask.sum()))


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_skull_has_marrow_between_two_tables(seed: int) -> None:
    phantom = person(seed, "head", 2.0)
    level = round((45.0 - phantom.origin_mm[0]) / 2.0)
    marrow = (phantom.labels[level] == Tissue.SPONGY_BONE).sum()
    assert 0.2 < marrow / is_any(phantom, *BONE)[level].sum() < 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_liver_is_on_the_right_spleen_stomach_side_and_heart_apex_on_the_left(seed: int) -> None:
    phantom = person(seed, "whole", 6.0)
    heart = is_any(phantom, Tissue.HEART_MUSCLE)
    lowest = heart & (np.cumsum(heart.any((1, 2)))[:, None, None] <= 4)
    assert centroid_mm(phantom, is_any(phantom, Tissue.LIVER))[2] < -25
    assert centroid_mm(phantom, is_any(phantom, Tissue.BILE))[2] < -25
    assert centroid_mm(phantom, is_any(phantom, Tissue.SPLEEN))[2] > 50
    assert centroid_mm(phantom, lowest)[2] > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_face_is_in_front_and_the_cord_behind(seed: int) -> None:
    phantom = person(seed, "head", 4.0)
    eyes = centroid_mm(phantom, is_any(phantom, Tissue.VITREOUS))
    brain = centroid_mm(phantom, is_any(phantom, *BRAIN))
    tongue = centroid_mm(phantom, is_any(phantom, Tissue.TONGUE))
    assert eyes[1] < brain[1] - 50
    assert tongue[0] < eyes[0] - 40 < brain[0] - 40


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_cortex_is_a_ribbon_of_even_thickness(seed: int) -> None:
    phantom = person(seed, "head", 2.0)
    brain = is_any(phantom, *BRAIN)
    depth = ndimage.distance_transform_edt(brain) * 2.0
    vault = np.zeros(brain.shape, bool)
    vault[round((25.0 - phantom.origin_mm[0]) / 2.0) :] = True
    grey, white = (vault & is_any(phantom, t) for t in BRAIN[:2])
    outermost = vault & brain & (depth <= 2.0)
    # Grey reaches 2.8 mm below the surface, which lies half a voxel outside the first centre.
    assert grey[outermost].mean() > 0.97
    assert np.percentile(depth[grey], 95) < 5.0
    assert (depth[white] > 3.0).mean() > 0.93


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_cortex_is_folded(seed: int) -> None:
    phantom = person(seed, "head", 2.0)
    brain = is_any(phantom, *BRAIN)[round((35.0 - phantom.origin_mm[0]) / 2.0)]
    hull = ndimage.binary_closing(brain, iterations=8)
    folds = ndimage.binary_erosion(hull, iterations=3) & ~brain
    edge = brain & ~ndimage.binary_erosion(brain)
    # The brain's outline is some three times as long as a smooth one; a real one even more.
    assert edge.sum() > 2.2 * _rim(hull)
    assert folds.sum() > 0.03 * hull.sum()


def test_hollows_are_air_in_ct_and_gel_or_black_in_the_photograph() -> None:
    phantom = person(1, "head", 4.0)
    sinus = ndimage.binary_erosion(is_any(phantom, Tissue.CAVITY))
    outside = ndimage.binary_erosion(is_any(phantom, Tissue.AIR), iterations=3)
    gel, black = (render_cryosection(phantom, b) for b in ("gel", "black"))
    assert render_ct(phantom)[sinus].mean() < -850
    assert np.abs(gel[sinus].mean(0) - gel[outside].mean(0)).max() < 20
    assert gel[sinus].mean(0)[2] > 1.5 * gel[sinus].mean(0)[0]
    assert black[sinus].mean() < 30
    assert black[outside].mean() < 15


def test_lungs_hold_air_in_ct_and_are_dark_red_when_frozen() -> None:
    phantom = person(1, "trunk", 6.0)
    lung = ndimage.binary_erosion(is_any(phantom, Tissue.LUNG), iterations=2)
    red, green, blue = render_cryosection(phantom)[lung].mean(0)
    assert -900 < render_ct(phantom)[lung].mean() < -700
    assert 90 > red > 1.3 * green
    assert red > 1.3 * blue


def test_background_changes_nothing_inside_the_body() -> None:
    phantom = person(1, "head", 6.0)
    solid = ~is_any(phantom, Tissue.AIR, Tissue.CAVITY)
    inner = ndimage.binary_erosion(solid, np.ones((1, 3, 3)))
    gel, black = (render_cryosection(phantom, b) for b in ("gel", "black"))
    assert np.array_equal(gel[inner], black[inner])


def _typical(phantom: Phantom, volume: NDArray[np.generic]) -> dict[str, float]:
    """Median of a volume over each tissue, where all six neighbours are the same tissue."""
    cross = ndimage.generate_binary_structure(3, 1)
    low = ndimage.minimum_filter(phantom.labels, footprint=cross)
    high = ndimage.maximum_filter(phantom.labels, footprint=cross)
    alone = np.where(low == high, phantom.labels, 255)
    return {t.name: float(np.median(volume[alone == t])) for t in Tissue if (alone == t).any()}


def test_ct_numbers_order_air_fat_water_muscle_bone() -> None:
    phantom = person(2, "head", 3.0)
    hu = _typical(phantom, render_ct(phantom))
    order = ["AIR", "FAT", "CSF", "MUSCLE", "SPONGY_BONE", "CORTICAL_BONE"]
    assert [hu[name] for name in order] == sorted(hu[name] for name in order)
    assert -110 < hu["FAT"] < -80
    assert 20 < hu["WHITE_MATTER"] < hu["GREY_MATTER"] < 60
    assert hu["CORTICAL_BONE"] > 1000


def test_t1_orders_fat_white_grey_fluid() -> None:
    phantom = person(2, "head", 3.0)
    signal = _typical(phantom, render_mri(phantom, "T1"))
    assert signal["FAT"] > signal["WHITE_MATTER"] > signal["GREY_MATTER"] > signal["CSF"]


def test_t2_orders_fluid_grey_white() -> None:
    phantom = person(2, "head", 3.0)
    signal = _typical(phantom, render_mri(phantom, "T2"))
    assert signal["CSF"] > signal["GREY_MATTER"] > signal["WHITE_MATTER"]


@pytest.mark.parametrize("contrast", ["T1", "T2"])
def test_compact_bone_and_air_are_dark_in_mr(contrast: Literal["T1", "T2"]) -> None:
    phantom = person(2, "head", 3.0)
    signal = _typical(phantom, render_mri(phantom, contrast))
    assert signal["CORTICAL_BONE"] < 0.6 * signal["WHITE_MATTER"]
    assert signal["AIR"] < 0.1 * signal["WHITE_MATTER"]


def test_photograph_shows_fat_pale_muscle_red_and_white_matter_brighter_than_grey() -> None:
    phantom = person(3, "head", 3.0)
    photo = render_cryosection(phantom)
    colour = {t: photo[phantom.labels == t].mean(0) for t in np.unique(phantom.labels)}
    fat, muscle = colour[Tissue.FAT], colour[Tissue.MUSCLE]
    assert fat.min() > 80
    assert muscle[0] > 1.5 * max(muscle[1], muscle[2])
    assert fat.sum() > 2 * muscle.sum()
    assert colour[Tissue.WHITE_MATTER].sum() > 1.15 * colour[Tissue.GREY_MATTER].sum()


def test_tissues_have_texture_in_the_photograph() -> None:
    phantom = person(3, "head", 3.0)
    photo = render_cryosection(phantom)
    deep = ndimage.binary_erosion(is_any(phantom, Tissue.MUSCLE))
    assert photo[deep][:, 0].std() > 5


@pytest.mark.parametrize("name", ["MUSCLE", "FAT", "CORTICAL_BONE", "GREY_MATTER", "LUNG", "LIVER"])
def test_two_seeds_are_two_persons(name: str) -> None:
    first, second = (is_any(person(seed, "whole", 6.0), Tissue[name]) for seed in (1, 2))
    dice = 2 * (first & second).sum() / (first.sum() + second.sum())
    assert dice < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 14])
def test_the_body_is_one_piece_and_stays_within_the_frame(seed: int) -> None:
    body = person(seed, "whole", 4.0).labels > 0
    _, pieces = ndimage.label(body)
    assert pieces == 1
    assert not body[:, 0].any()
    assert not body[:, -1].any()
    assert not body[:, :, 0].any()
    assert not body[:, :, -1].any()
    assert not body[-1].any()


def test_labels_cannot_be_written_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        person(1, "head", 6.0).labels[0, 0, 0] = 1
