"""The background of a photograph is plain and no tissue; tissue that the frame cuts stays."""

import cv2
import numpy as np
import pytest

from medcolor.color import srgb_to_lab
from medcolor.reference.background import background_of

SIZE, TOLERANCE = 160, 14.0
ROWS, COLS = np.mgrid[:SIZE, :SIZE]
MUSCLE, LIVER, FAT = (112, 48, 44), (58, 30, 24), (214, 178, 118)
BACKGROUNDS = {"black": (2, 2, 3), "white": (250, 250, 249), "gel": (44, 92, 168)}


def tissue(seed=0):
    """Muscle and fat with their grain, and a liver as even as a background, all at the border."""
    source = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(source.normal(0, 1, (SIZE, SIZE)), (0, 0), 1.5)[..., None]
    rgb = np.where((COLS // 20 % 3 == 0)[..., None], FAT, MUSCLE) + 60 * grain
    return np.where(((ROWS > 60) & (COLS > 70))[..., None], LIVER, rgb)


def background(rgb):
    return background_of(srgb_to_lab((np.clip(rgb, 0, 255) / 255).astype(np.float32)), TOLERANCE)


def test_a_photograph_that_tissue_fills_has_no_background():
    assert not background(tissue()).any()


def test_nor_has_one_that_a_single_organ_fills():
    rgb = np.full((SIZE, SIZE, 3), LIVER, float)
    rgb[:60, :60] = tissue()[:60, :60]
    assert not background(rgb).any()


@pytest.mark.parametrize("color", BACKGROUNDS.values(), ids=BACKGROUNDS)
@pytest.mark.parametrize("share", ["corner", "strip", "around"])
def test_a_plain_background_goes_however_little_of_the_border_it_has(color, share):
    outside = {
        "corner": ROWS + COLS < 40,
        "strip": 12 + 4 * np.sin(ROWS / 9) > COLS,
        "around": (ROWS - 80) ** 2 + (COLS - 80) ** 2 > 70**2,
    }[share]
    found = background(np.where(outside[..., None], color, tissue()))
    assert (found == outside).mean() > 0.99


def test_a_backdrop_of_the_colour_of_fat_goes_if_it_is_all_around():
    outside = (ROWS - 80) ** 2 + (COLS - 80) ** 2 > 60**2
    found = background(np.where(outside[..., None], FAT, np.array(MUSCLE)))
    np.testing.assert_array_equal(found, outside)
