import numpy as np
import pytest

from medcolor.body import (
    _is_scaled,
    body_square,
    bounding_box,
    largest_parts,
    pad_to_cells,
    resize,
    resize_mask,
    square_shape,
    working_shape,
)
from medcolor.domain import SQUARE, Box


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


@pytest.mark.parametrize("axis", [0, 1])
def test_long_pixels_have_the_box_and_the_working_grid_of_the_square_ones_they_hold(axis):
    count, body = 4, disc((160, 160), (72, 84), 40)
    coarse = body.take(np.arange(count // 2, 160, count), axis)
    pixel = (4.0, 1.0) if axis == 0 else (1.0, 4.0)
    expected, found = bounding_box(body), bounding_box(coarse, pixel=pixel)
    for part in ("start", "stop"):
        for number, name in enumerate(("row", "col")):
            scale = count if number == axis else 1
            edge, wanted = (getattr(box, f"{name}_{part}") for box in (found, expected))
            assert abs(scale * edge - wanted) <= scale
    shape = working_shape(found, 64, pixel=pixel)
    assert np.abs(np.subtract(shape, working_shape(expected, 64))).max() <= 64 * count / 80


def test_pixels_made_square_cover_what_they_covered():
    assert square_shape((30, 200), (4.0, 1.0)) == (120, 200)
    assert square_shape((30, 200), (1.0, 1.3)) == (30, 260)
    assert square_shape((1, 200), (30.0, 1.0)) == (30, 200)
    assert square_shape((7, 5), SQUARE) == (7, 5)


@pytest.mark.parametrize("shape", [(3000, 3000), (200, 4000), (5000, 10)])
def test_images_of_absurd_pixels_do_not_grow_without_bound(shape):
    rows, cols = square_shape(shape, (1000.0, 1.0))
    assert max(rows, cols) <= max(2048, *shape)
    assert rows / cols == pytest.approx(1000 * shape[0] / shape[1], rel=0.01) or cols == 1


@pytest.mark.parametrize("turned", [False, True])
def test_an_axis_that_shrinks_is_averaged_though_the_other_grows(turned):
    image = np.random.default_rng(0).random((12, 40)).astype(np.float32)
    means = image.reshape(12, 10, 4).mean(2)
    at = (np.arange(30) + 0.5) * 12 / 30 - 0.5
    expected = np.stack([np.interp(at, np.arange(12), line) for line in means.T], 1)
    image, expected = (image.T, expected.T) if turned else (image, expected)
    found = resize(np.ascontiguousarray(image), expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_working_grid_of_square_pixels_is_one_scaling():
    """There and back, however thin the box: one call of OpenCV, as it always was."""
    random = np.random.default_rng(0)
    for rows, cols, side in random.integers(1, 700, (4000, 3)):
        shape = working_shape(Box(0, int(rows), 0, int(cols)), int(side))
        image = np.zeros((rows, cols), np.float32)
        for one, size in ((image, shape), (np.zeros(shape, np.float32), image.shape)):
            assert _is_scaled(one.shape, size) or _is_scaled(size, one.shape)


def test_padding_reaches_whole_cells_of_the_coarsest_level():
    assert pad_to_cells(np.ones((17, 32, 3))).shape == (32, 32, 3)


def test_a_mask_keeps_its_share_when_resized():
    mask = disc((64, 64), (32, 32), 20)
    assert resize_mask(mask, (32, 32)).mean() == pytest.approx(mask.mean(), abs=0.01)
