"""The phantom through a clinic's scanners: contrast, noise, parts of voxels, coil."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
import pytest
from phantoms import digest
from scipy import ndimage, stats

from medcolor.phantom import (
    Phantom,
    Tissue,
    make_phantom,
    render_clinical_ct,
    render_clinical_mri,
)
from medcolor.phantom.rendering import clinical
from medcolor.phantom.rendering.clinical import CT_NOISE_HU, MRI_NOISE, coil_sensitivity
from medcolor.phantom.rendering.scans import MRI_SCALE

# What a module makes once is made by one worker.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clinical")]

# SHA-256 over CT, T1 and T2 of the whole body at 8 mm, first 16 digits; see test_phantom.py.
DIGESTS: dict[int, tuple[str, str, str]] = {
    1: ("be4adf9664341fae", "76385fd8cf0d9820", "509e0642c941377c"),
    2: ("edf7edd49dced212", "e8d3ea7593e71a69", "a53f31186452f967"),
    3: ("f7268231038e3f16", "1c9b669db3b26633", "8f651d480d117b9b"),
}

BRAIN = (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY)
CONTRAST_HU = {
    (Tissue.FAT,): -100,
    (Tissue.MUSCLE,): 55,
    BRAIN: 35,
    (Tissue.BLOOD,): 45,
    (Tissue.LIVER,): 60,
    (Tissue.AIR,): -1000,
}


@cache
def person(seed: int, region: Literal["head", "trunk", "whole"], spacing_mm: float) -> Phantom:
    return make_phantom(seed, region=region, spacing_mm=spacing_mm)


@cache
def ct(seed: int, region: Literal["head", "trunk", "whole"], spacing_mm: float) -> np.ndarray:
    return render_clinical_ct(person(seed, region, spacing_mm))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_persons_in_a_clinic_are_the_frozen_ones(seed: int) -> None:
    phantom = person(seed, "whole", 8.0)
    scans = ct(seed, "whole", 8.0), *(render_clinical_mri(phantom, c) for c in ("T1", "T2"))
    assert tuple(map(digest, scans)) == DIGESTS[seed]


@pytest.mark.parametrize("tissues", CONTRAST_HU, ids=lambda some: some[0].name.lower())
def test_soft_tissues_have_the_contrast_of_real_scans(tissues: tuple[Tissue, ...]) -> None:
    phantom, hu = person(2, "whole", 4.0), ct(2, "whole", 4.0)
    # Alone among their like, so that no other tissue takes part.
    deep = ndimage.binary_erosion(np.isin(phantom.labels, tissues), np.ones((3, 3, 3)))
    assert deep.sum() > 300
    assert np.median(hu[deep]) == pytest.approx(CONTRAST_HU[tissues], abs=4)


def test_bone_is_dense_without_and_marrow_within_and_lungs_hold_air() -> None:
    phantom, hu = person(2, "whole", 4.0), ct(2, "whole", 4.0)
    assert -850 < np.median(hu[ndimage.binary_erosion(phantom.labels == Tissue.LUNG)]) < -750
    spongy = ndimage.binary_erosion(phantom.labels == Tissue.SPONGY_BONE)
    assert 250 < np.median(hu[spongy]) < 450
    assert 300 < np.median(hu[phantom.labels == Tissue.CORTICAL_BONE]) < 1200
    assert np.median(hu[phantom.labels == Tissue.YELLOW_MARROW]) < 100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ct_has_the_noise_of_its_person(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    phantom = person(seed, "head", 6.0)
    noisy = render_clinical_ct(phantom)
    monkeypatch.setattr(clinical, "CT_NOISE_HU", (0.0, 0.0))
    noise = (noisy - render_clinical_ct(phantom))[noisy > -900]
    expected = phantom.person.vary("clinical/ct/noise", *CT_NOISE_HU)
    assert noise.std() == pytest.approx(expected, rel=0.02)
    assert abs(noise.mean()) < 0.5
    assert CT_NOISE_HU == (8, 15)


def test_a_voxel_holds_parts_of_what_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a drawing eight times as fine along an axis, cut into the voxels."""
    monkeypatch.setattr(clinical, "CT_NOISE_HU", (0.0, 0.0))
    monkeypatch.setattr(clinical, "ct_texture", lambda fine: np.zeros(fine.labels.shape))
    coarse, fine = (person(1, "head", mm) for mm in (12.0, 1.5))
    values = np.array([clinical.HU.get(t, clinical.PROPERTIES[t].hu) for t in Tissue])
    exact = ndimage.uniform_filter(values[fine.labels].astype(float), 8)[::8, ::8, ::8]
    found = render_clinical_ct(coarse).astype(float)
    plain = values[coarse.labels]
    inner = (slice(1, -1),) * 3
    errors = [np.abs((one - exact)[inner]).mean() for one in (found, plain)]
    # Three samples along an axis are not all of a voxel, but far nearer to it than one.
    assert errors[0] < 0.5 * errors[1]


def test_the_mean_over_a_voxel_is_that_of_three_weights_along_each_axis() -> None:
    fine = np.random.default_rng(0).normal(size=(11, 9, 13))
    expected = fine
    for axis in range(3):
        expected = ndimage.convolve1d(expected, [0.25, 0.5, 0.25], axis=axis)
    found = clinical._mean_of_halves(fine)
    np.testing.assert_allclose(found, expected[1::2, 1::2, 1::2])
    ramp = np.arange(11.0)[:, None, None] + np.zeros((11, 5, 5))
    np.testing.assert_allclose(clinical._mean_of_halves(ramp)[:, 0, 0], np.arange(1, 11, 2))


def test_slabs_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ct(1, "head", 6.0)
    monkeypatch.setattr(clinical, "_SLAB", 5)
    clinical._finer_labels.cache_clear()
    assert np.array_equal(render_clinical_ct(person(1, "head", 6.0)), whole)
    clinical._finer_labels.cache_clear()


@pytest.mark.parametrize("contrast", ["T1", "T2"])
def test_mr_noise_is_rician(contrast: Literal["T1", "T2"]) -> None:
    phantom = person(1, "head", 4.0)
    signal = render_clinical_mri(phantom, contrast) / MRI_SCALE
    noise = phantom.person.vary(f"clinical/{contrast}/noise", *MRI_NOISE)
    air = ndimage.binary_erosion(phantom.labels == Tissue.AIR, iterations=2)
    background = stats.rayleigh(scale=noise)
    assert signal[air].mean() == pytest.approx(background.mean(), rel=0.01)
    assert signal[air].std() == pytest.approx(background.std(), rel=0.02)
    # Where there is a signal it is nearly normal: a neighbour's difference has twice its variance.
    white = ndimage.binary_erosion(phantom.labels == Tissue.WHITE_MATTER)
    pairs = white[1:] & white[:-1]
    steps = np.diff(signal, axis=0)[pairs]
    assert steps.std() / math.sqrt(2) == pytest.approx(noise, rel=0.25)


def test_the_coil_is_uneven_and_smooth_and_the_signal_follows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phantom = person(1, "head", 4.0)
    coil = coil_sensitivity(phantom, "T1")
    body = phantom.labels > 0
    assert np.ptp(coil[body]) > 0.2
    assert coil.min() >= 0.7
    assert coil.max() <= 1.3
    assert max(np.abs(np.diff(coil, axis=axis)).max() for axis in range(3)) < 0.02
    bright = phantom.labels == Tissue.FAT
    signal = render_clinical_mri(phantom, "T1")
    monkeypatch.setattr(clinical, "MRI_BIAS", 0.0)
    even = render_clinical_mri(phantom, "T1")
    np.testing.assert_allclose(
        (signal[bright] / even[bright]).mean(), coil[bright].mean(), rtol=0.01
    )
    assert np.corrcoef(coil[bright], signal[bright] / even[bright])[0, 1] > 0.9
