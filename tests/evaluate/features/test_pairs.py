import cv2
import numpy as np
import pytest

from medcolor.body import bounding_box
from medcolor.evaluate.features.pairs import (
    PhantomCase,
    View,
    deformed_pair,
    phantom_pairs,
    phantom_tissue,
    remap,
    view_of,
)
from medcolor.phantom import make_phantom

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("pairs")


def ramp(rows=96, cols=128):
    """An image whose grey tells the place: tissue everywhere but a frame."""
    tissue = np.zeros((rows, cols), bool)
    tissue[10:-10, 10:-10] = True
    grey = np.where(tissue, np.mgrid[0:rows, 0:cols].sum(0) / (rows + cols), 0)
    return View(grey.astype(np.float32), tissue)


def test_a_deformed_pixel_shows_the_place_it_came_from():
    view = ramp()
    pair = deformed_pair(view, np.random.default_rng(3))
    place = pair.place[:, pair.known]
    source = cv2.remap(view.grey, pair.place[1], pair.place[0], cv2.INTER_LINEAR)[pair.known]
    tones = pair.target.grey[pair.known]
    assert (place >= -0.5).all()
    order = np.argsort(source)
    # Tones are a curve of the source's tones plus little noise: neighbours in one are in the other.
    assert np.abs(np.diff(tones[order])).mean() < 0.03


def test_a_deformed_pair_differs_in_place_size_and_tones():
    pair = deformed_pair(ramp(), np.random.default_rng(0))
    rows, cols = pair.target.grey.shape
    own = np.mgrid[0:rows, 0:cols]
    assert np.abs(pair.place - own).max() > 4
    assert rows % 16 == cols % 16 == 0
    assert not pair.target.grey[~pair.target.tissue].any()


def test_remapped_tissue_keeps_its_background_black():
    view = ramp()
    changed = remap(view.grey, view.tissue, np.random.default_rng(1))
    assert not changed[~view.tissue].any()
    assert np.abs(changed - view.grey)[view.tissue].mean() > 0.05


def test_a_view_is_cropped_scaled_and_padded():
    view = ramp()
    box = bounding_box(view.tissue)
    scaled = view_of(view.grey, view.tissue, box, 64)
    assert max(scaled.grey.shape) == 64
    assert scaled.grey.shape[0] % 16 == 0
    assert not scaled.grey[~scaled.tissue].any()


@pytest.fixture(scope="module")
def head_pairs():
    case = PhantomCase("head", 4.0, 3, 4)
    return case, list(phantom_pairs(case, 14, 96, 0.5))


def test_phantom_pairs_come_in_all_modalities(head_pairs):
    _, pairs = head_pairs
    assert [name for name, _ in pairs[:3]] == ["ct", "t1", "t2"]
    for _, pair in pairs:
        assert pair.known.any()
        assert pair.known.sum() < pair.target.tissue.sum()


def test_a_phantom_is_its_own_partner():
    """Between a person and himself every pixel belongs to itself."""
    case = PhantomCase("head", 4.0, 3, 3)
    for _, pair in phantom_pairs(case, 30, 96, 0.5):
        own = np.mgrid[0 : pair.known.shape[0], 0 : pair.known.shape[1]]
        assert np.abs(pair.place - own)[:, pair.known].max() < 0.05


def test_partners_show_the_same_tissue(head_pairs):
    """The eyes of one are the eyes of the other: tested on the labels themselves."""
    case, _ = head_pairs
    one, other = (
        make_phantom(seed, region="head", spacing_mm=4.0)
        for seed in (case.target_seed, case.reference_seed)
    )
    from medcolor.evaluate.features.pairs import _places

    z = len(one.labels) // 2
    z2 = int(np.abs(other.canonical_z_mm() - one.canonical_z_mm()[z]).argmin())
    place, known = _places(one, z, other, z2)
    row, col = np.rint(place[:, known]).astype(int)
    same = other.labels[z2][row, col] == one.labels[z][known]
    assert same.mean() > 0.97
    assert known.sum() > 0.4 * phantom_tissue(one, z).sum()
