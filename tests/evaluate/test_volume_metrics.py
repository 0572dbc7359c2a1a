"""Figures of whole volumes, against other libraries, laws and brute force."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance
from skimage.color import deltaE_ciede2000

from medcolor.evaluate.local_structure import LocalStructure, explained_variance
from medcolor.evaluate.volume_metrics import (
    TissueColors,
    VolumeMeasure,
    figures_table,
    palette_distance,
    write_figures,
)

SHAPE = (40, 44)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_the_palette_distance_is_the_mean_of_wasserstein_distances_along_lines(random):
    one = random.normal(0, 10, (6000, 3))
    other = np.concatenate([random.normal(5, 4, (3000, 3)), random.normal(-9, 15, (5000, 3))])
    lines = np.random.default_rng(1).normal(size=(400, 3))
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    expected = np.mean([wasserstein_distance(one @ line, other @ line) for line in lines])
    # 64 lines for 400, and a hundredth of the colours, the rarest, left out.
    assert palette_distance(one, other) == pytest.approx(expected, rel=0.1)


def test_a_shifted_palette_is_as_far_as_its_shift_along_lines(random):
    colors = random.normal(0, 20, (500, 3))
    shifted = palette_distance(colors, colors + np.array([0, 8.0, 0]))
    # Of a unit vector's projections on random lines half is the mean.
    assert shifted == pytest.approx(4, rel=0.15)
    assert palette_distance(colors, colors + np.array([0, 16.0, 0])) == pytest.approx(2 * shifted)
    assert palette_distance(colors, random.permutation(colors)) == pytest.approx(0, abs=1e-9)


def test_a_veil_is_farther_than_borders_at_the_wrong_place():
    truth = np.where(np.arange(1000)[:, None] < 500, [30.0, 20, 10], [80.0, 5, 30])
    moved = np.roll(truth, 40, axis=0)
    veil = 0.5 * truth + 0.5 * truth.mean(axis=0)
    assert palette_distance(moved, truth) < 0.01 * palette_distance(veil, truth)


def labels_and_colors(random, count=4):
    labels = random.integers(0, 3, (count, *SHAPE))
    truth = np.array([[30.0, 25, 12], [75, 6, 28], [85, 2, 14]])[labels]
    return labels, truth + random.normal(0, 3, truth.shape)


def named(labels):
    return {"muscle": labels == 0, "fat": labels == 1, "bone": labels == 2, "brain": labels == 9}


def test_tissues_are_compared_by_the_means_of_all_their_voxels(random):
    labels, truth = labels_and_colors(random)
    result = truth * random.uniform(0.6, 1.1, truth.shape)
    colors = TissueColors()
    for z in range(len(labels)):
        colors.add(result[z], truth[z], named(labels[z]))
    for name, label in (("muscle", 0), ("fat", 1), ("bone", 2)):
        means = [lab[labels == label].mean(axis=0) for lab in (truth, result)]
        assert colors.differences[name] == pytest.approx(float(deltaE_ciede2000(*means)))
    assert math.isnan(colors.differences["brain"])


@pytest.mark.parametrize("share", [1.0, 0.4, 0.0, -0.5])
def test_contrast_is_the_share_of_the_truths_along_its_own_axis(random, share):
    labels, truth = labels_and_colors(random, 1)
    fat, muscle = (truth[labels == label].mean(axis=0) for label in (1, 0))
    axis = fat - muscle
    across = np.cross(axis, [0, 0, 1.0])  # difference in another direction does not count
    result = np.where((labels == 1)[..., None], share * axis + across, 0.0) + np.array([40.0, 0, 0])
    colors = TissueColors()
    colors.add(result[0], truth[0], named(labels[0]))
    assert colors.contrast == pytest.approx(share)


def test_without_fat_there_is_no_contrast(random):
    labels, truth = labels_and_colors(random, 1)
    colors = TissueColors()
    colors.add(truth[0], truth[0], {"muscle": labels[0] == 0})
    assert math.isnan(colors.contrast)


def brute_force(image, guides, mask, radius):
    """Fit every window on its own, by the normal equations of all its pixels."""
    explained = total = 0.0
    rows, cols = image.shape
    for row, col in np.ndindex(image.shape):
        near = mask[max(0, row - 2) : row + 3, max(0, col - 2) : col + 3]
        if not near.all():
            continue
        # Mirrored at the rim of the picture, edge pixels twice.
        at = [
            np.pad(np.arange(side), radius, mode="symmetric")[place : place + 2 * radius + 1]
            for place, side in ((row, rows), (col, cols))
        ]
        window = np.ix_(*at)
        inside = mask[window]
        y = image[window][inside] - image[window][inside].mean()
        x = np.stack([guide[window][inside] for guide in guides], -1)
        x = x - x.mean(axis=0)
        variance, joint = x.T @ x / len(y), x.T @ y / len(y)
        ridge = 1e-3 + 1e-3 * np.trace(variance) / len(guides)
        slopes = np.linalg.solve(variance + ridge * np.eye(len(guides)), joint)
        explained += min(slopes @ joint, (y**2).mean())
        total += (y**2).mean()
    return explained, total


@pytest.mark.parametrize("count", [1, 3])
def test_explained_variance_is_that_of_least_squares_in_every_window(random, count):
    mask = np.ones(SHAPE, bool)
    mask[:9, :12] = False
    mask[25, 30] = False
    guides = [gaussian_filter(random.normal(0, 60, SHAPE), 1.5) for _ in range(count)]
    image = 0.3 * guides[0] + gaussian_filter(random.normal(0, 8, SHAPE), 1)
    found = explained_variance(image, guides, mask, radius_px=4)
    assert found == pytest.approx(brute_force(image, guides, mask, 4), rel=1e-6)


def structure_of(colors, scan):
    structure = LocalStructure()
    structure.add(colors, scan, np.ones(scan.shape, bool))
    return structure


def test_colours_that_are_a_function_of_the_scan_keep_it_and_invent_nothing(random):
    scan = gaussian_filter(random.normal(0, 250, SHAPE), 2)
    paler = np.stack([50 - 0.2 * scan, 10 + 0.1 * scan, 0 * scan], -1)
    found = structure_of(paler, scan)
    assert found.kept > 0.98
    assert found.invented < 0.02


def test_structure_of_the_colours_own_is_invented_and_flat_colours_keep_nothing(random):
    scan = gaussian_filter(random.normal(0, 250, SHAPE), 2)
    own = gaussian_filter(random.normal(0, 250, SHAPE), 2)
    strange = structure_of(np.stack([50 + 0.2 * own, 0 * own, 0 * own], -1), scan)
    assert strange.invented > 0.5
    # A linear fit explains some of anything.
    assert strange.kept < 0.5
    flat = structure_of(np.full((*SHAPE, 3), 40.0), scan)
    assert flat.kept < 1e-6
    assert math.isnan(flat.invented)


def test_a_volume_gathers_its_slices_and_a_slice_without_a_body_is_left_out(random, tmp_path):
    labels, truth = labels_and_colors(random)
    measure = VolumeMeasure()
    body = np.ones(SHAPE, bool)
    distances = []
    for z in range(len(labels)):
        result = truth[z] + z
        measure.compare(result, truth[z], body, named(labels[z]))
        measure.compare(result + 50, truth[z], ~body, named(labels[z]))
        distances.append(palette_distance(result[body], truth[z][body]))
    figures = measure.figures
    assert list(figures) == [
        "palette", "muscle", "fat", "bone", "brain", "contrast", "kept", "invented"
    ]  # fmt: skip
    assert figures["palette"] == pytest.approx(np.mean(distances))
    assert figures["contrast"] == pytest.approx(1, abs=0.01)
    assert math.isnan(figures["kept"])
    assert math.isnan(VolumeMeasure().figures["palette"])
    table = figures_table({"one": figures, "two": figures}).splitlines()
    assert table[0].split() == list(figures)
    assert float(table[1].split()[1]) == pytest.approx(figures["palette"], abs=0.005)
    rows = [{"method": "one", **figures}, {"method": "two", "palette": 1.0}]
    write_figures(tmp_path / "new" / "volume.parquet", rows)
    read = pq.read_table(tmp_path / "new" / "volume.parquet").to_pylist()
    assert [row["method"] for row in read] == ["one", "two"]
    assert read[0]["palette"] == figures["palette"]
    assert read[1]["muscle"] is None
