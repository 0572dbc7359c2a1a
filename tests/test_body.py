import numpy as np
import pytest

from medcolor.body import (
    body_square,
    bounding_box,
    largest_parts,
    pad_to_cells,
    resize_mask,
    working_shape,
)
from medcolor.domain import Box


def disc(shape, center, radius):
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return (rows - center[0]) ** 2 + (cols - center[1]) ** 2 < radius**2


def test_arms_beside_the_trunk_stay_and_specks_go():
    trunk, arm = disc((80, 200), (40, 100), 30), disc((80, 200), (40, 30), 12)
    speck = disc((80, 200), (10, 180), 3)

    kept = largest_parts(trunk | arm | speck)

    np.testing.assert_array_equal(kept, trunk | arm)


def test_the_square_of_a_disc_leaves_a_margin_and_arms_move_it_little():
    trunk = disc((200, 300), (90, 150), 60)
    row, col, side = body_square(trunk)
    assert side == pytest.approx(2 * 78, abs=4)
    assert (row + side / 2, col + side / 2) == (90, 150)
    arm = disc((200, 300), (90, 250), 12)
    _, col2, side2 = body_square(trunk | arm)
    assert side2 < 1.2 * side  # its bounding box is 1.6 times as wide
    assert abs(col2 + side2 / 2 - 150) < 6


def test_an_empty_mask_has_no_box_and_no_square():
    mask = np.zeros((30, 30), bool)
    assert bounding_box(mask) is None
    assert body_square(mask) is None


def test_the_box_encloses_the_body_with_a_margin_inside_the_image():
    mask = np.zeros((100, 50), bool)
    mask[10:60, 0:20] = True
    assert bounding_box(mask) == Box(8, 62, 0, 22)


@pytest.mark.parametrize(
    ("box", "shape"), [(Box(0, 100, 0, 50), (64, 32)), (Box(0, 10, 0, 40), (16, 64))]
)
def test_the_working_grid_keeps_the_aspect(box, shape):
    assert working_shape(box, 64) == shape


def test_padding_reaches_whole_cells_of_the_coarsest_level():
    assert pad_to_cells(np.ones((17, 32, 3))).shape == (32, 32, 3)


def test_a_mask_keeps_its_share_when_resized():
    mask = disc((64, 64), (32, 32), 20)
    assert resize_mask(mask, (32, 32)).mean() == pytest.approx(mask.mean(), abs=0.01)
