"""Positions as headers round them are even; a slice that is missing is not."""

import numpy as np
import pytest
from dicom_files import values_of, write_dicom
from hypothesis import given
from hypothesis import strategies as st

from medcolor.errors import InputError
from medcolor.volume.even_line import even_line
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

RESAMPLE = VolumeSettings(uneven="resample")


@st.composite
def rounded_stacks(draw):
    """Return places, their distance, and the positions that a header has of them."""
    decimals = draw(st.integers(0, 3))
    quantum = 10.0**-decimals
    spacing = draw(st.floats(5 * quantum, 40 * quantum))
    places = draw(st.floats(-500, 500)) + spacing * np.arange(draw(st.integers(4, 300)))
    return places, spacing, np.round(places, decimals), quantum


@given(rounded_stacks())
def test_rounded_positions_are_even(stack):
    places, spacing, along, quantum = stack
    line = even_line(along)
    assert line is not None
    assert line.is_whole
    assert line.worst_mm <= 0.75 * quantum
    found = line.start + line.spacing * line.numbers
    # Two lines within half a decimal of the same positions, and a little for least squares.
    assert np.abs(found - places).max() <= 1.3 * quantum
    assert abs(line.spacing - spacing) <= 2.2 * quantum / (len(places) - 1)


@given(rounded_stacks(), st.data())
def test_missing_slices_are_found_among_rounded_positions(stack, data):
    places, _, along, _ = stack
    gone = data.draw(st.sets(st.integers(1, len(places) - 2), min_size=1, max_size=3))
    left = np.setdiff1d(np.arange(len(places)), [*gone])
    if len(left) < 4:
        return
    line = even_line(along[left])
    if line is None:  # few slices that every second lacks may be read as half as many
        return
    assert line.is_whole == (len({*np.diff(left)}) == 1)


@pytest.mark.parametrize(
    "along",
    [
        [0, 1, 2, 4, 5, 6],
        [0, 1, 2, 3, 5],
        [0, 2, 3, 4, 5, 6, 7],
        [0, 1, 3],
        [0, 1, 3, 4],
        [0, 1, 2, 3.5, 5, 6.5],
        [0, 1.25, 2.5, 5, 6.25],
        [0, 0.6, 1.2, 2.5, 3.1],
        [*np.arange(50), *(49 + 1.05 * np.arange(1, 50))],
    ],
)
def test_gaps_and_mixed_spacing_are_no_rounding(along):
    line = even_line(np.array(along, float))
    assert line is None or not line.is_whole


def write_at(folder, positions, spacing):
    folder.mkdir(exist_ok=True)
    stack = np.random.default_rng(3).integers(0, 2000, (len(positions), 16, 12))
    for number, (z, pixels) in enumerate(zip(positions, stack, strict=True)):
        write_dicom(folder / f"{number}.dcm", z, pixels, SliceThickness=spacing)
    return stack.astype(float) - 1024


@pytest.mark.parametrize(("spacing", "decimals"), [(1.25, 1), (0.625, 1), (2.5, 0), (3.3333, 1)])
def test_a_series_of_rounded_positions_is_read_as_it_was_scanned(tmp_path, spacing, decimals):
    positions = np.round(spacing * np.arange(24), decimals)
    voxels = write_at(tmp_path / "in", positions, spacing)
    volume = open_volume(tmp_path / "in", VolumeSettings(), tmp_path)
    np.testing.assert_array_equal(values_of(volume), voxels)
    assert volume.geometry.spacing_mm[0] == pytest.approx(spacing, abs=10.0**-decimals / 23)
    assert any("rounded" in step for step in volume.geometry.steps)


def test_the_remedy_for_a_gap_among_rounded_positions_blurs_no_slice_that_is_there(tmp_path):
    positions = np.delete(np.round(1.25 * np.arange(24), 1), [7, 15])
    voxels = write_at(tmp_path / "in", positions, 1.25)
    with pytest.raises(InputError, match=r"uneven slices: 2\.[56] mm.*volume\.uneven=resample"):
        open_volume(tmp_path / "in", VolumeSettings(), tmp_path)
    volume = open_volume(tmp_path / "in", RESAMPLE, tmp_path)
    assert volume.geometry.spacing_mm[0] == pytest.approx(1.25)
    found = values_of(volume, RESAMPLE)
    assert len(found) == 24
    there = np.delete(np.arange(24), [7, 15])
    np.testing.assert_array_equal(found[there], voxels)
    np.testing.assert_allclose(found[7], (voxels[6] + voxels[7]) / 2, atol=1e-3)
