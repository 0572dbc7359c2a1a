from dataclasses import replace

import numpy as np
import pytest
import torch

from medcolor.domain import OUTSIDE
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.scan import (
    basis,
    contrast_of,
    describe_scan,
    displayed_lightness,
    known,
    tissue_share,
)

FAT, MUSCLE, NOISE = -100.0, 55.0, 12.0


def body_of(rows=80, cols=100, noise=NOISE):
    """Two tissues side by side in air, in HU."""
    values = np.full((rows, cols), -1000.0)
    values[10:70, 10:50], values[10:70, 50:90] = FAT, MUSCLE
    body = values > -500
    return (values + np.random.default_rng(0).normal(0, noise, values.shape)).astype("f4"), body


def statistics_of(slices, spacing_mm=(1.0, 1.0), is_hounsfield=True, air_below=0.0):
    return measure_scan(
        slices,
        spacing_mm,
        64,
        window=(-350.0 if is_hounsfield else -1000.0, 650.0),
        is_hounsfield=is_hounsfield,
        air_below=air_below,
    )


@pytest.mark.parametrize("noise", [3.0, 12.0, 40.0])
def test_noise_is_found(noise):
    assert statistics_of([body_of(noise=noise)]).noise == pytest.approx(noise, rel=0.15)


def test_tissues_that_lie_close_are_far_apart_on_the_axis():
    statistics = statistics_of([body_of()])
    place = contrast_of(torch.tensor([FAT, MUSCLE]), statistics)
    shown = (MUSCLE - FAT) / 1000  # in the window
    assert float(place[1] - place[0]) > 2 * shown
    everything = contrast_of(torch.linspace(-2000, 4000, 500), statistics)
    assert bool((everything.diff() >= 0).all())
    assert (float(everything[0]), float(everything[-1])) == (0.0, 1.0)


def test_a_slice_is_freed_of_noise_and_keeps_its_border():
    values, body = body_of()
    statistics = statistics_of([(values, body)])
    rough = contrast_of(torch.from_numpy(values), statistics)
    smooth = describe_scan(torch.from_numpy(values), statistics)
    inside = (slice(15, 65), slice(15, 45))
    assert float(smooth[inside].std()) < 0.75 * float(rough[inside].std())
    step = smooth[15:65, 50].mean() - smooth[15:65, 49].mean()
    assert float(step) > 0.8 * float(rough[15:65, 50].mean() - rough[15:65, 49].mean())


def test_what_was_not_scanned_counts_as_the_lowest_that_was():
    values, body = body_of()
    values[:5] = OUTSIDE
    assert known(values)[0, 0] == values[np.isfinite(values)].min()
    assert np.isfinite(statistics_of([(values, body)]).noise)
    flipped = known(values[::-1, ::-1])
    assert torch.equal(torch.from_numpy(flipped).flip(0, 1), torch.from_numpy(known(values)))
    assert known(np.full((2, 2), OUTSIDE, np.float32)).tolist() == [[0, 0], [0, 0]]


def test_pixels_of_the_working_grid_are_as_long_as_wide_in_mm():
    statistics = statistics_of([body_of()], spacing_mm=(4.0, 1.0))
    rows, cols = statistics.working_px
    assert cols == pytest.approx(4 * rows)


def test_slices_without_a_body_say_nothing_unless_all_are_so():
    values, body = body_of()
    nothing = np.full_like(values, -1000.0), np.zeros_like(body)
    assert statistics_of([nothing, (values, body)]) == statistics_of([(values, body)])
    assert statistics_of([nothing]).noise > 0


@pytest.mark.parametrize("is_hounsfield", [True, False])
def test_air_is_no_tissue(is_hounsfield):
    values, body = body_of()
    statistics = statistics_of([(values, body)], is_hounsfield=is_hounsfield, air_below=-500.0)
    lines = np.repeat([-1000.0, FAT, MUSCLE], 20).astype(np.float32)
    share = tissue_share(np.tile(lines, (40, 1)), statistics)
    np.testing.assert_array_equal(share[:, ::20], 40 * [[0, 1, 1]])


def test_dark_lines_of_mri_are_bone_or_fluid_and_no_air():
    values, body = body_of()
    statistics = statistics_of([(values, body)], is_hounsfield=False, air_below=-500.0)
    dark = np.full((40, 60), MUSCLE, np.float32)
    dark[:, 10:13], dark[:, 30:50] = -1000.0, -1000.0
    share = tissue_share(dark, statistics)
    assert share[:, 10:13].min() == 1
    assert share[5:35, 32:48].max() == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_discs_of_air_are_round_in_mm(axis):
    """Of pixels of 4 mm fewer make a gap that is air than of pixels of 1 mm."""
    values, body = body_of(160, 200)
    spacing_mm = (4.0, 1.0) if axis == 0 else (1.0, 4.0)
    statistics = statistics_of([(values, body)], spacing_mm, is_hounsfield=False, air_below=-500.0)
    across_mm = 2 * 4 * statistics.working_px[1 - axis]  # of the least disc: four working pixels
    for along, side_mm in ((axis, 4.0), (1 - axis, 1.0)):
        for share, is_air in ((0.6, False), (1.8, True)):
            dark = np.full((160, 160), MUSCLE, np.float32)
            gap = round(share * across_mm / side_mm)
            dark.swapaxes(0, along)[40 : 40 + gap] = -1000.0
            found = tissue_share(dark, statistics).swapaxes(0, along)
            assert (found[40 + gap // 2].max() == 0) == is_air


def test_noise_is_not_averaged_over_more_millimetres_along_the_longer_side():
    """Rows of 8 mm, columns of 1 mm, and a filter of about 1 mm: rows stay apart."""
    random = np.random.default_rng(0)
    by_row, by_col = (random.normal(0, 10, shape) for shape in ((80, 1), (1, 100)))
    values, _ = body_of()
    found = statistics_of([body_of()], spacing_mm=(8.0, 1.0))
    even = tuple(np.linspace(0, 1, len(found.knots)))
    statistics = replace(found, sigma_px=1.2, noise=NOISE, contrast=even)
    stripes = {}
    for name, stripe in (("rows", by_row), ("columns", by_col)):
        image = torch.from_numpy(np.broadcast_to(MUSCLE + stripe, values.shape).astype("f4"))
        before, after = contrast_of(image, statistics), describe_scan(image, statistics)
        stripes[name] = float(after.std() / before.std())
    assert stripes["rows"] == pytest.approx(1, abs=1e-3)
    assert stripes["columns"] < 0.6


def test_three_tissues_may_have_any_three_colours():
    """The basis and a constant tell them apart."""
    statistics = statistics_of([body_of()])
    at = contrast_of(torch.tensor([FAT, MUSCLE, 600.0]), statistics)
    functions = torch.cat([basis(at, statistics), torch.ones(1, 3)])
    assert int(torch.linalg.matrix_rank(functions, atol=0.02)) == 3


def test_the_lightness_of_a_contrast_is_that_of_its_value_in_the_window():
    from medcolor.color import lightness

    statistics = statistics_of([body_of()])
    values = torch.tensor([-200.0, 0.0, 300.0])
    found = displayed_lightness(contrast_of(values, statistics), statistics)
    wanted = lightness(((values.numpy() + 350) / 1000).astype(np.float32))
    np.testing.assert_allclose(found, wanted, atol=0.5)
