import numpy as np
import pytest
import torch

from medcolor.transfer.measure import measure_scan
from medcolor.transfer.scan import describe_scan
from medcolor.transfer.settings import TransferSettings
from medcolor.transfer.structure import on_structure

SIDE = 96
SETTINGS = TransferSettings()


@pytest.fixture(scope="module")
def scan():
    """Fat and muscle, a thin vessel in the fat and a node in the muscle; in HU."""
    values = np.full((SIDE, SIDE), 55.0, np.float32)
    values[:, :48] = -100.0
    values[20:76, 20:23] = 40.0
    values[60:68, 70:78] = 100.0
    values += np.random.default_rng(0).normal(0, 3, values.shape).astype(np.float32)
    return values


def placed(colors, scan, body=None, spacing_mm=(1.0, 1.0)):
    body = torch.ones(SIDE, SIDE, dtype=torch.bool) if body is None else body
    statistics = measure_scan(
        [(scan, body.numpy())],
        spacing_mm,
        SIDE,
        window=(-350.0, 650.0),
        is_hounsfield=True,
        air_below=0.0,
    )
    contrast = describe_scan(torch.from_numpy(scan), statistics)
    return on_structure(colors, contrast, body, statistics, SETTINGS).numpy()


def flat(*lab):
    return torch.tensor(lab)[:, None, None].expand(3, SIDE, SIDE).clone()


def test_nothing_is_invented(scan):
    """Colours with borders and texture where the scan has none."""
    colors = flat(60.0, 10.0, 20.0)
    colors[0, 10:40, 60:90] += 20
    texture = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    colors[1] += 20 * (texture - 0.5)
    found = placed(colors, scan)
    even = found[:, 8:50, 56:92]
    assert even[1].std() < 1.5 < colors[1, 8:50, 56:92].std()
    step = np.abs(np.diff(even[0], axis=0)).max()
    assert step < 5  # 20 in the colours


def test_colours_that_follow_the_scan_are_kept_with_their_border(scan):
    colors = flat(30.0, 22.0, 14.0)
    is_fat = torch.from_numpy(scan) < -20
    colors = torch.where(is_fat, flat(75.0, 8.0, 28.0), colors)
    found = placed(colors, scan)
    inside = (slice(None), slice(30, 50))
    assert found[0][30:50, 47].mean() - found[0][30:50, 48].mean() > 35
    np.testing.assert_allclose(found[(*inside, slice(30, 40))].mean((1, 2)), [75, 8, 28], atol=3)
    np.testing.assert_allclose(found[(*inside, slice(55, 65))].mean((1, 2)), [30, 22, 14], atol=3)


def test_what_the_scan_shows_and_the_colours_do_not_is_added_up_to_a_limit(scan):
    """A node in the muscle whose votes have the muscle's colour."""
    found = placed(flat(40.0, 20.0, 15.0), scan)[0]
    step = found[62:66, 72:76].mean() - found[62:66, 84:92].mean()
    assert 1 < step <= SETTINGS.detail_limit
    border = found[30:50, 40:47].mean() - found[30:50, 49:56].mean()
    assert -2 * SETTINGS.detail_limit <= border < -2  # fat is darker on the scan


@pytest.mark.parametrize("axis", [0, 1])
def test_colours_without_structure_spread_as_far_along_long_pixels_as_along_short_ones(axis):
    """A border of the colours in an even scan, pixels of 6 by 1 mm: 18 mm to both sides."""
    shape, spacing_mm = ((40, 240), (6.0, 1.0)) if axis == 0 else ((240, 40), (1.0, 6.0))
    even = np.random.default_rng(0).normal(55, 3, shape).astype(np.float32)
    widths_mm = []
    for along, side_mm in enumerate(spacing_mm):
        colors = torch.full((3, *shape), 60.0)
        colors[1] = 0.0
        colors[1].swapaxes(0, along)[shape[along] // 2 :] = 40.0
        found = placed(colors, even, torch.ones(shape, dtype=torch.bool), spacing_mm)[1]
        profile = found.swapaxes(0, along).mean(1)
        widths_mm.append(side_mm * ((profile > 4) & (profile < 36)).sum())
    long, short = widths_mm[axis], widths_mm[1 - axis]
    assert abs(long - short) <= 12  # two long pixels


def test_outside_the_body_there_is_nothing(scan):
    body = torch.ones(SIDE, SIDE, dtype=torch.bool)
    body[:, :10] = False
    found = placed(flat(50.0, 20.0, 20.0), scan, body)
    assert not found[:, :, :10].any()
    assert float(found[1, :, 10:].std()) < 0.5
