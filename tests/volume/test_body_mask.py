"""Bodies whose shape is known are found, whatever is dark in them, beside them and around them."""

import numpy as np
import pytest

from medcolor.volume.body_mask import body_mask
from medcolor.volume.surroundings import EVERYTHING, find_surroundings

ROWS, COLS = np.mgrid[:200, :200].astype(np.float32)
CUT = 0.2
AIR_HU = -0.65
"""Luminance of -1000 HU where -350..650 HU are shown, before it is cut off."""


def ellipse(row, col, half_rows, half_cols, rows=ROWS, cols=COLS):
    return ((rows - row) / half_rows) ** 2 + ((cols - col) / half_cols) ** 2 < 1


def noisy(image, sigma, seed=0):
    """Return a magnitude image: noise of air is never below zero."""
    source = np.random.default_rng(seed)
    real, imaginary = source.normal(0, sigma, (2, *image.shape))
    return np.hypot(image + real, imaginary).astype(np.float32)


def dice(mask, truth):
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def masks_of(slices, cut=CUT, air=None):
    around = find_surroundings(slices, cut, air)
    return [body_mask(one, around) for one in slices]


def mask_of(image, cut=CUT, air=None):
    return masks_of([np.asarray(image, np.float32)], cut, air)[0]


def test_the_table_goes_and_the_body_with_its_cavities_stays():
    body, cavity = ellipse(80, 100, 55, 60), ellipse(80, 100, 14, 12)
    image = np.where(body & ~cavity, 0.6, 0.0)
    image[160:166, 20:180] = 0.5
    mask = mask_of(image)
    assert dice(mask, body) > 0.98
    assert not mask[150:].any()


def test_a_thick_but_dark_pillow_goes_and_an_arm_stays():
    body, pillow = ellipse(100, 60, 45, 45), ellipse(100, 165, 30, 30)
    arm = ellipse(100, 120, 12, 12)
    mask = mask_of(np.select([body, arm, pillow], [0.4, 0.3, 0.1], 0))
    assert mask[body].mean() > 0.97
    assert mask[arm].mean() > 0.9
    assert not mask[pillow].any()


def test_a_slice_of_air_has_no_body():
    assert not mask_of(np.zeros((30, 30))).any()
    assert not mask_of(noisy(np.zeros((90, 90)), 0.02), 0.08).any()
    filled = noisy(np.full((200, 200), 0.5), 0.02)
    assert [mask.any() for mask in masks_of([filled, filled * 0, filled])] == [True, False, True]


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5])
def test_a_body_may_be_as_small_or_large_as_it_likes(share):
    half = np.sqrt(share * ROWS.size / np.pi)
    body = ellipse(90, 110, half, half)
    assert dice(mask_of(np.where(body, 0.6, 0)), body) > 0.9


def test_all_of_a_crop_from_inside_a_chest_is_body():
    """Lungs reach the border, and no air is there to be told from them."""
    source = np.random.default_rng(1)
    lung = ellipse(100, 10, 90, 60) | ellipse(90, 200, 80, 70)
    vessels = np.kron(source.random((50, 50)) < 0.06, np.ones((4, 4), bool))
    hounsfield = np.where(lung & ~vessels, -840, 40) + source.normal(0, 15, lung.shape)
    assert mask_of((hounsfield + 350) / 1000, -0.15, AIR_HU).all()


@pytest.mark.parametrize("side", range(4))
def test_a_lung_that_the_border_cuts_is_body_and_the_air_beside_the_chest_is_not(side):
    """Values tell lungs from air."""
    source = np.random.default_rng(2)
    body, lung = ellipse(100, 0, 80, 150), ellipse(100, 0, 50, 110)
    hounsfield = np.select([lung, body], [-840, 40], -1000) + source.normal(0, 15, lung.shape)
    image = np.rot90((hounsfield + 350) / 1000, side)
    mask = mask_of(np.ascontiguousarray(image), -0.15, AIR_HU)
    assert dice(mask, np.rot90(body, side)) > 0.98


@pytest.mark.parametrize("side", range(4))
def test_a_lung_as_black_as_air_that_the_border_cuts_is_body(side):
    """Of a scan whose values were cut off: its shape tells."""
    body, lung = ellipse(100, 20, 80, 150), ellipse(100, 50, 55, 75)
    image = np.ascontiguousarray(np.rot90(np.where(body & ~lung, 0.5, 0), side))
    assert dice(mask_of(image), np.rot90(body, side)) > 0.98


@pytest.mark.parametrize("level", [0.05, 0.07])
def test_a_dark_organ_at_the_border_of_a_noisy_scan_is_body(level):
    """Darker than the threshold between air and tissue, lighter than air."""
    body, liver = ellipse(100, 120, 130, 90), ellipse(150, 120, 90, 60)
    image = noisy(np.select([liver, body], [level, 0.3], 0), 0.01)
    mask = mask_of(image, 0.09)
    assert dice(mask, body) > 0.97
    assert mask[liver].mean() > 0.99


def test_a_field_that_falls_off_to_the_rim_leaves_the_body_whole():
    body = ellipse(100, 100, 85, 70)
    field = np.exp(-(((ROWS - 60) / 120) ** 2) - ((COLS - 100) / 120) ** 2)
    assert dice(mask_of(noisy(np.where(body, 0.8 * field, 0), 0.02), 0.13), body) > 0.97


def test_the_gap_between_an_arm_and_the_trunk_is_outside():
    trunk, arm = ellipse(100, 130, 190, 50), ellipse(100, 40, 190, 20)
    image = noisy(np.where(trunk | arm, 0.4, 0), 0.015)
    mask = mask_of(image)
    assert dice(mask, trunk | arm) > 0.97
    assert not mask[:, 66:74].any()


def test_the_notch_between_two_legs_is_outside():
    legs = ellipse(0, 60, 260, 38) | ellipse(0, 140, 260, 38) | ellipse(0, 100, 60, 90)
    legs &= ROWS < 199
    assert dice(mask_of(np.where(legs, 0.5, 0)), legs) > 0.97


@pytest.mark.parametrize("gap", [4, 8])
def test_lungs_as_black_as_air_lie_behind_a_wall_with_gaps(gap):
    body, inner = ellipse(100, 100, 75, 90), ellipse(100, 100, 68, 83)
    heart = ellipse(100, 100, 25, 25)
    wall = body & ~inner & ~((np.abs(ROWS - 100) < gap / 2) | (np.abs(COLS - 60) < gap / 2))
    mask = mask_of(np.where(wall | heart, 0.5, 0))
    assert dice(mask, body) > 0.97


def test_a_trunk_that_lost_its_fat_is_whole_and_its_table_goes():
    """Windowed to 8 bits: bones, organs, thin muscles, and a table that never moves."""
    slices, bodies = [], []
    for z in range(12):
        half = 84 + z % 3
        body = ellipse(95, 100, half - 18, half)
        organs = ellipse(90, 60, 26, 20) | ellipse(85, 140, 20, 24) | ellipse(135, 100, 16, 14)
        organs |= ellipse(55, 100, 12, 24) | ellipse(125, 150, 12, 9) | ellipse(125, 50, 12, 9)
        angle = np.arctan2(ROWS - 95, COLS - 100) + 0.2 * z
        muscle = body & ~ellipse(95, 100, half - 22, half - 4) & (np.sin(7 * angle) > -0.3)
        image = np.select([organs, muscle], [0.5, 0.3], 0.0)
        table = (np.abs(ROWS - 176 + ((COLS - 100) / 40) ** 2) < 1.5) & (np.abs(COLS - 100) < 90)
        image[table] = 0.6
        slices.append(image.astype(np.float32))
        bodies.append(body)
    masks = masks_of(slices)
    assert min(dice(*both) for both in zip(masks, bodies, strict=True)) > 0.95
    assert not any(mask[174:178].any() for mask in masks)


def test_everything_is_body_where_that_is_said():
    assert body_mask(np.zeros((20, 30), np.float32), EVERYTHING).all()
