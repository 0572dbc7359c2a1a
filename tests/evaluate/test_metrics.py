import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from skimage.metrics import peak_signal_noise_ratio
from tables import figures

from medcolor.color import lightness, srgb_to_lab
from medcolor.evaluate.metrics import ColorReport, gradient_correlation, measure

SHAPE = (24, 30)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def flat(lab):
    return np.broadcast_to(np.array(lab, np.float32), (*SHAPE, 3)).copy()


def grey():
    return np.full(SHAPE, 0.5, np.float32)


EVERYWHERE = np.ones(SHAPE, bool)


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [
        # Sharma, Wu and Dalal 2005, table 1, pairs 1, 7 and 25.
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_ciede2000_is_the_published_one(found, expected, difference):
    got = measure(flat(found), flat(expected), EVERYWHERE, grey())
    assert got.ciede2000 == pytest.approx(difference, abs=1e-4)


def test_chroma_ignores_lightness():
    got = measure(flat((10, 3, 4)), flat((90, 0, 0)), EVERYWHERE, grey())
    assert got.chroma == pytest.approx(5)


def test_psnr_is_that_of_the_body(random):
    rgb = random.random((2, *SHAPE, 3)).astype(np.float32)
    body = random.random(SHAPE) < 0.6
    got = measure(srgb_to_lab(rgb[0]), srgb_to_lab(rgb[1]), body, rgb[0, ..., 0])
    assert got.psnr == pytest.approx(
        peak_signal_noise_ratio(rgb[1][body], rgb[0][body], data_range=1), abs=0.05
    )


def test_the_truth_is_perfect_and_a_body_of_nothing_means_nothing(random):
    lab = srgb_to_lab(random.random((*SHAPE, 3)).astype(np.float32))
    got = measure(lab, lab, EVERYWHERE, grey())
    assert (got.ciede2000, got.chroma, got.ssim) == pytest.approx((0, 0, 1))
    nothing = measure(lab, lab, ~EVERYWHERE, grey())
    assert nothing.pixels == 0
    assert math.isnan(nothing.psnr)


def test_structure_is_kept_by_brighter_and_paler_and_lost_by_turning_over(random):
    scan = random.random(SHAPE).astype(np.float32)
    assert gradient_correlation(0.3 + 0.5 * scan, scan, EVERYWHERE) == pytest.approx(1)
    assert gradient_correlation(1 - scan, scan, EVERYWHERE) == pytest.approx(-1)
    assert abs(gradient_correlation(random.random(SHAPE), scan, EVERYWHERE)) < 0.2
    own = np.stack([lightness(scan), 0 * scan, 0 * scan], -1)
    assert measure(own, own, EVERYWHERE, scan).structure == pytest.approx(1, abs=1e-3)


def test_flicker_counts_where_the_scan_stands_still():
    scan, moved = grey(), grey()
    moved[:, 15:] = 0.9
    other = flat((50, 3, 4))
    other[:, 15:, 1] = 60
    got = measure(flat((50, 0, 0)), flat((50, 0, 0)), EVERYWHERE, scan, (other, EVERYWHERE, moved))
    assert got.flicker == pytest.approx(5)
    assert got.border == pytest.approx(np.hypot(60, 4))
    assert got.colorful == 0
    assert measure(flat((50, 3, 4)), None, EVERYWHERE, scan).colorful == pytest.approx(5)


def test_means_are_weighted_by_pixels_and_a_table_and_parquet_hold_them(tmp_path):
    report = ColorReport()
    half = EVERYWHERE.copy()
    half[:, 15:] = False
    for z, (body, chroma) in enumerate([(EVERYWHERE, 3.0), (half, 9.0), (~EVERYWHERE, 99.0)]):
        lab = flat((50, chroma, 0))
        report.add("case", "ours", z, measure(lab, flat((50, 0, 0)), body, grey()))
    assert report.mean("case", "ours").chroma == pytest.approx(5)
    assert figures(report.table("case"))["ours"][1] == pytest.approx(5, abs=1e-3)
    report.write(tmp_path / "new" / "color.parquet")
    rows = pq.read_table(tmp_path / "new" / "color.parquet").to_pylist()
    assert [(row["case"], row["method"], row["z"]) for row in rows] == [
        ("case", "ours", 0), ("case", "ours", 1)
    ]  # fmt: skip
    assert rows[1]["chroma"] == pytest.approx(9)
