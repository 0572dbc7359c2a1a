from dataclasses import replace

import numpy as np
import pytest

from medcolor.domain import Box, Reconstruction
from medcolor.transfer.coherence import smooth_along_stack
from medcolor.transfer.settings import CoherenceSettings

BOX = Box(10, 74, 20, 68)
SHAPE = 32, 24


def slice_of(z, color, *, grey=0.5, box=BOX, shape=SHAPE, trust=0.8):
    lab = np.broadcast_to(np.asarray(color, np.float32), (*shape, 3)).copy()
    grey = np.full(shape, grey, np.float32)
    return Reconstruction(z, box, grey, lab, np.full(shape, trust, np.float32))


def stack_of(colors, **changed):
    return [slice_of(z, color, **changed) for z, color in enumerate(colors)]


def test_where_the_scan_stands_still_colours_are_a_gaussian_mean_along_z():
    random = np.random.default_rng(0)
    colors = random.normal(0, 10, (9, 3))
    stack, settings = stack_of(colors), CoherenceSettings(reach_mm=3.0)
    result = smooth_along_stack(stack[4], stack[:4] + stack[5:], 1.5, settings)
    weights = np.exp(-((1.5 * (np.arange(9) - 4) / 3) ** 2) / 2)
    expected = weights @ colors / weights.sum()
    np.testing.assert_allclose(result.lab, np.broadcast_to(expected, result.lab.shape), atol=1e-3)
    np.testing.assert_allclose(result.trust, 0.8, atol=1e-5)


def test_colours_do_not_cross_a_border_of_the_scan():
    below = [slice_of(z, (50, 30, 10), grey=0.3) for z in range(5)]
    above = [slice_of(z, (50, -10, 20), grey=0.7) for z in range(5, 10)]
    result = smooth_along_stack(below[4], below[:4] + above, 1.0, CoherenceSettings())
    np.testing.assert_allclose(result.lab, below[4].lab, atol=0.1)


def test_nothing_is_heard_through_a_border():
    """Beyond bone lies other tissue, be it as grey as this."""
    below = [slice_of(z, (50, 30, 10)) for z in range(5)]
    bone = [slice_of(5, (90, 0, 10), grey=0.9)]
    above = [slice_of(z, (50, -10, 20)) for z in range(6, 10)]
    result = smooth_along_stack(below[4], below[:4] + bone + above, 1.0, CoherenceSettings())
    np.testing.assert_allclose(result.lab, below[4].lab, atol=0.1)


def test_untrusted_neighbours_are_hardly_heard():
    own, other = slice_of(0, (50, 20, 20)), slice_of(1, (50, -40, 20), trust=1e-3)
    result = smooth_along_stack(own, [other], 1.0, CoherenceSettings())
    np.testing.assert_allclose(result.lab, own.lab, atol=0.2)


def test_a_slice_is_the_same_place_on_another_grid():
    """A neighbour whose body has another box and size is laid over the scan, not the arrays."""

    def seen(z, box, shape):
        size = np.array(box.shape) / shape
        row = box.row_start + (np.arange(shape[0]) + 0.5) * size[0] - 0.5
        col = box.col_start + (np.arange(shape[1]) + 0.5) * size[1] - 0.5
        made = slice_of(z, (0, 0, 0), box=box, shape=shape)
        lab = np.stack([*np.meshgrid(row, col, indexing="ij"), np.zeros(shape)], axis=-1)
        return replace(made, lab=lab.astype(np.float32))

    own = seen(0, BOX, SHAPE)
    other = seen(1, Box(0, 100, 10, 90), (50, 40))
    result = smooth_along_stack(own, [other], 1.0, CoherenceSettings(reach_mm=50.0))
    # Both say where they are: their mean must be where each pixel is.
    np.testing.assert_allclose(result.lab, own.lab, atol=0.02)


@pytest.mark.parametrize(("reach", "step", "halo"), [(4.0, 1.0, 8), (4.0, 5.0, 1), (0.0, 1.0, 0)])
def test_the_halo_is_a_distance_and_not_a_count(reach, step, halo):
    assert CoherenceSettings(reach_mm=reach).halo(step) == halo
