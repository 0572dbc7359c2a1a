from dataclasses import replace

import cv2
import numpy as np
import pytest

from medcolor.body import resize
from medcolor.color import grey_of, lab_to_srgb, lightness, srgb_to_lab
from medcolor.config import load_settings
from medcolor.evaluate.metrics import gradient_correlation
from medcolor.filters.settings import PAPER_FIGURE_6, SmoothingSettings
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.settings import TransferSettings

PRINTED = TransferSettings(gamma=0.5, contrast=0.0, agreement_tolerance=0.0, least_b=-128.0)


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    scan = cv2.GaussianBlur(random.random((60, 48)).astype(np.float32), (0, 0), 2)
    scan = (scan - scan.min()) / np.ptp(scan)
    colors = cv2.GaussianBlur(random.random((30, 24, 3)).astype(np.float32), (0, 0), 2)
    return scan, srgb_to_lab(colors)


def test_equation_1_is_as_printed(images):
    """fgs(T') - fgs(T) + T between gamma 1/2 and 2, by OpenCV's own filter."""
    scan, voted = images
    everywhere = np.ones(scan.shape, bool)
    smoothing = PAPER_FIGURE_6["fgs"]

    found = equation_1(
        scan, everywhere, voted, np.ones(voted.shape[:2], np.float32), PRINTED, smoothing
    )

    target = scan**0.5
    made = resize(srgb_to_lab(lab_to_srgb(voted) ** 0.5), scan.shape)
    lab = np.zeros_like(made)
    lab[..., 0] = lightness(target)
    guide = np.rint(255 * target).astype(np.uint8)
    scale = 4  # the scan's pixels are half as large: lambda counts on the working grid

    def fgs(image):
        return cv2.ximgproc.fastGlobalSmootherFilter(guide, image, 32 * scale, 200)

    expected = lab_to_srgb(fgs(made) - fgs(lab) + lab) ** 2
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_default_keeps_more_of_the_scans_structure_than_edges_would(images):
    scan, voted = images
    body, trust = np.ones(scan.shape, bool), np.ones(voted.shape[:2], np.float32)

    def kept(**change):
        smoothing = replace(SmoothingSettings(), **change)
        rgb = equation_1(scan, body, voted, trust, TransferSettings(), smoothing)
        return gradient_correlation(grey_of(rgb), scan, body)

    assert kept() > 0.95
    assert kept(luminance_sigma=5.0) < kept()


def test_what_the_scan_shows_black_stays_black(images):
    scan, voted = images
    scan[20:30, 20:30] = 0
    voted[..., 0] = 80
    body, trust = np.ones(scan.shape, bool), np.ones(voted.shape[:2], np.float32)
    smoothing = replace(SmoothingSettings(), guide_sigma=200.0)
    air = (slice(22, 28), slice(22, 28))
    plain = TransferSettings(contrast=0.0)
    kept = equation_1(scan, body, voted, trust, replace(plain, black_below=0.08), smoothing)[air]
    bled = equation_1(scan, body, voted, trust, plain, smoothing)[air]
    assert kept.max() < 0.02
    assert bled.mean() > 0.1


def test_the_scans_contrast_moves_toward_the_references(images):
    scan, voted = images
    body, trust = np.ones(scan.shape, bool), np.ones(voted.shape[:2], np.float32)
    wanted = resize(voted, scan.shape)[..., 0].std()

    def spread(contrast):
        transfer = TransferSettings(contrast=contrast, reference_luminance=0.0)
        rgb = equation_1(scan, body, voted, trust, transfer, SmoothingSettings())
        return lightness(grey_of(rgb)).std()

    gap = [abs(spread(contrast) - wanted) for contrast in (0.0, 0.5, 1.0)]
    assert gap[0] > gap[1] > gap[2]


def test_the_papers_settings_are_those_of_its_equations():
    paper = load_settings_of("paper.yaml")
    assert paper.transfer == replace(PRINTED, least_confidence=1.0)
    assert (paper.smoothing.smoothness, paper.smoothing.guide_sigma) == (32, 200)
    assert paper.smoothing.luminance_sigma == 200
    assert (paper.retrieval.references, paper.retrieval.along_stack) == (1, False)
    assert (paper.pooling.share, paper.pooling.spread) == (0, 0)
    assert paper.matching == load_settings_of("matching/paper.yaml").matching


def test_the_settings_for_photographs_keep_their_luminance(images):
    settings = load_settings_of("photographs.yaml")
    scan, voted = images
    body, trust = np.ones(scan.shape, bool), np.ones(voted.shape[:2], np.float32)
    voted[..., 1:] *= 0.2  # inside the gamut at every lightness
    rgb = equation_1(scan, body, voted, trust, settings.transfer, settings.smoothing)
    inner = (scan > 0.2) & (scan < 0.8)
    np.testing.assert_allclose(grey_of(rgb)[inner], scan[inner], atol=0.01)


def load_settings_of(name):
    from pathlib import Path

    return load_settings(Path(__file__).parents[2] / "configs" / name)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"gamma": 0.0}, "gamma"),
        ({"contrast": 1.5}, "contrast"),
        ({"agreement_tolerance": -1.0}, "agreement_tolerance"),
        ({"vote_patch_px": 4}, "vote_patch_px"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        TransferSettings(**wrong)
