"""Painting organs that are known."""

import numpy as np
import pytest

from medcolor.evaluate.organs import ORGANS, OUTSIDE, mean_colors, paint_organs
from medcolor.phantom import Tissue


def random_body(random):
    labels = random.integers(0, len(Tissue), (5, 14, 15)).astype(np.uint8)
    return labels, random.uniform(-40, 90, (*labels.shape, 3)).astype(np.float32)


@pytest.mark.parametrize("groups", [(), ORGANS])
def test_every_organ_has_the_mean_colour_of_all_its_tissues(groups):
    labels, lab = random_body(np.random.default_rng(0))
    labels[labels == Tissue.BILE] = Tissue.LIVER
    found = mean_colors(lab, labels, groups)
    for tissue in Tissue:
        together = next((group for group in groups if tissue in group), (tissue,))
        where = np.isin(labels, together)
        expected = lab[where].mean(axis=0) if where.any() else np.zeros(3)
        np.testing.assert_allclose(found[tissue], expected, atol=1e-3)


def test_no_tissue_is_of_two_organs_and_air_of_none():
    members = [tissue for group in ORGANS for tissue in group]
    assert len(members) == len(set(members))
    assert not set(members) & set(OUTSIDE)


def test_organs_are_flat_with_soft_edges_and_air_does_not_darken_the_skin():
    labels = np.zeros((11, 21, 21), np.uint8)
    labels[2:9, 2:19, 2:19] = Tissue.FAT
    labels[2:9, 2:19, 10:19] = Tissue.MUSCLE
    colors = np.zeros((len(Tissue), 3), np.float32)
    colors[Tissue.FAT], colors[Tissue.MUSCLE] = (70, 5, 25), (25, 20, 10)
    found = paint_organs(labels, colors)
    np.testing.assert_allclose(found[5, 5, 5], colors[Tissue.FAT], atol=1e-3)
    np.testing.assert_allclose(found[2, 2, 2], colors[Tissue.FAT], atol=1e-3)
    np.testing.assert_allclose(found[8, 18, 18], colors[Tissue.MUSCLE], atol=1e-3)
    light = found[5, 10, :, 0]
    assert (np.diff(light[2:19]) <= 1e-3).all()
    # Half way at the border, which lies between two voxels, and done 1.5 voxels beside it.
    assert light[9:11].mean() == pytest.approx(47.5, abs=0.1)
    assert 47.5 < light[9] < 65
    assert light[8] > 67
    assert not found[labels == 0].any()
