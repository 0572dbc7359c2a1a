"""Slices whose pixels are longer than wide, or wider than long, are coloured as square ones are."""

from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from skimage.color import deltaE_ciede2000

import medcolor
from medcolor.color import srgb_to_lab
from medcolor.config import load_settings
from medcolor.domain import VolumeGeometry
from medcolor.errors import InputError
from medcolor.phantom import make_phantom, render_ct
from medcolor.phantom.files import write_photographs
from medcolor.run.ledger import ASSIGNMENT
from medcolor.volume.store import read_levels, read_slices

pytestmark = pytest.mark.xdist_group("pixels")

SETS = "features.working_size_px=96", "retrieval.references=1"
SETTINGS = load_settings(None, SETS)
SPACING_MM, EVERY, PHOTOGRAPHS_MM = 2.0, 10, 24.0
Y, X = 1, 2
THICK = [(Y, 2), (Y, 4), (X, 2), (X, 4)]
"""Which axis of (z, y, x) is coarser, and how many voxels are averaged: 4 and 8 mm."""


def averaged(values, axis, count):
    """Return means of so many voxels along an axis."""
    size = values.shape[axis] // count
    values = np.moveaxis(values, axis, 0)[: size * count]
    return np.moveaxis(values.reshape(size, count, *values.shape[1:]).mean(1), 0, axis)


def write(path, scan, spacing_mm, turn=None):
    """Write (z, y, x) in LPS, perhaps tilted."""
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    affine = affine if turn is None else turn @ affine
    nib.save(nib.Nifti1Image(np.round(scan).astype(np.int16).transpose(2, 1, 0), affine), path)
    return path


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """One person's CT, every 20 mm, and the photographs of another."""
    folder = tmp_path_factory.mktemp("head")
    scan = render_ct(make_phantom(1, region="head", spacing_mm=SPACING_MM))[::EVERY]
    other = make_phantom(2, region="head", spacing_mm=SPACING_MM)
    return scan.astype(np.float32), write_photographs(
        other, folder / "photographs", every_mm=PHOTOGRAPHS_MM
    )


class Colored:
    """A coloured volume: its voxels, and where its colours come from."""

    def __init__(self, scan, photographs, output):
        assert medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS).is_complete
        self.rgba = read_slices(output, 0, range(read_levels(output)[0].shape[0]))
        path = output.with_name(output.name + ".run") / ASSIGNMENT
        self.chosen = np.array(pq.read_table(path, columns=["place_mm"])["place_mm"])
        record = json.loads((path.parent / "run.json").read_text())
        self.orientation = record["photographs"]["orientation"]
        self.planes = record["input"]["matched_plane"], record["input"]["sharp_plane"]


@pytest.fixture(scope="module")
def color(head, tmp_path_factory):
    """Colours a scan."""
    folder = tmp_path_factory.mktemp("colored")

    def run(name, scan, spacing_mm, turn=None):
        path = write(folder / f"{name}.nii", scan, spacing_mm, turn)
        return Colored(path, head[1], folder / f"{name}.ome.zarr")

    return run


@pytest.fixture(scope="module")
def square(head, color):
    """The scan as it is, in square pixels."""
    return color("square", head[0], (EVERY * SPACING_MM, SPACING_MM, SPACING_MM))


def difference(found, expected, axis, count):
    """Return the mean CIEDE2000 where all of a voxel is body in both."""
    whole = averaged((expected.rgba[..., 3] > 0).astype(float), axis, count) == 1
    both = whole & (found.rgba[..., 3] > 0)
    means = averaged(expected.rgba[..., :3].astype(np.float32), axis, count)
    labs = [srgb_to_lab(rgb[both] / np.float32(255)) for rgb in (means, found.rgba[..., :3])]
    return float(deltaE_ciede2000(*labs).mean())


def spacing_of(axis, count):
    sides = [EVERY * SPACING_MM, SPACING_MM, SPACING_MM]
    sides[axis] *= count
    return sides


@pytest.mark.parametrize(("axis", "count"), THICK)
def test_thick_pixels_have_photographs_and_colours_of_square_ones(head, color, square, axis, count):
    """Differences measured: 3.3 to 4.1; 4.9 to 14.8 where pixels were taken for square."""
    found = color(f"{axis}-{count}", averaged(head[0], axis, count), spacing_of(axis, count))
    assert found.orientation == square.orientation
    assert np.abs(found.chosen - square.chosen).max() <= PHOTOGRAPHS_MM / 3
    assert difference(found, square, axis, count) < 4.5


@pytest.mark.parametrize(
    ("spacing_mm", "plane"),
    [
        ((5.0, 1.0, 1.0), "axial"),
        ((1.0, 1.0, 1.0), "axial"),
        ((1.0, 1.0 + 1e-7, 1.0), "axial"),
        ((1.0, 4.0, 1.0), "coronal"),
        ((0.9, 1.0, 6.0), "sagittal"),
    ],
)
def test_the_sharp_plane_is_across_the_longest_side_of_a_voxel(spacing_mm, plane):
    affine = tuple(map(tuple, np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])))
    assert VolumeGeometry((4, 4, 4), spacing_mm, affine).sharp_plane == plane


def test_a_run_says_in_which_plane_it_matched(square):
    assert square.planes == ("axial", "axial")


def test_a_tilted_scan_of_slightly_longer_pixels_too(head, color, square):
    """1.3 to 1, the field of view turned by 10 degrees in space."""
    ratio, rows = 1.3, head[0].shape[1]
    row = np.minimum(np.arange(int(rows / ratio)) * ratio, rows - 1)
    below = row.astype(int)
    part = (row - below)[:, None]
    stretched = head[0][:, below] * (1 - part) + head[0][:, np.minimum(below + 1, rows - 1)] * part
    angle = np.deg2rad(10)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    found = color("tilted", stretched, (EVERY * SPACING_MM, ratio * SPACING_MM, SPACING_MM), turn)
    assert found.orientation == square.orientation
    assert np.abs(found.chosen - square.chosen).max() <= PHOTOGRAPHS_MM / 3
    shown = [volume.rgba[volume.rgba[..., 3] > 0, :3].mean(0) for volume in (found, square)]
    assert np.abs(shown[0] - shown[1]).max() < 6  # of 255; another orientation is 20 away


def test_what_headers_round_is_square(head, color, square):
    """Affines in half the digits."""
    found = color("rounded", head[0], (EVERY * SPACING_MM, SPACING_MM, SPACING_MM * (1 + 1e-7)))
    np.testing.assert_array_equal(found.chosen, square.chosen)
    assert np.abs(found.rgba.astype(int) - square.rgba).max() <= 1


def test_few_pixels_across_a_body_are_named_and_hardly_any_refused(head, tmp_path, caplog):
    photographs = head[1]
    # Means over 40 mm are no longer distributed as Hounsfield units are.
    settings = load_settings(None, [*SETS, "volume.kind=ct"])
    for count, is_refused in ((20, False), (40, True)):
        scan = write(tmp_path / f"{count}.nii", averaged(head[0], Y, count), spacing_of(Y, count))
        output = tmp_path / f"{count}.ome.zarr"
        mm = f"rows of {SPACING_MM * count:g} mm"
        with caplog.at_level(logging.WARNING):
            if is_refused:
                with pytest.raises(InputError, match=f"{mm} .* expected 3 or more"):
                    medcolor.colorize_volume(scan, photographs, output, settings=settings)
                assert not output.exists()
            else:
                medcolor.colorize_volume(scan, photographs, output, settings=settings)
                assert any(mm in line for line in caplog.messages)
        caplog.clear()


@pytest.mark.parametrize("axis", [Y, X])
def test_slices_of_one_row_or_column_are_refused_in_a_line(head, tmp_path, axis):
    line = head[0].take([head[0].shape[axis] // 2], axis)
    scan = write(tmp_path / "line.nii", line, (EVERY * SPACING_MM, SPACING_MM, SPACING_MM))
    with pytest.raises(InputError, match=r"the body spans 1 (rows|columns)"):
        medcolor.colorize_volume(scan, head[1], tmp_path / "v.ome.zarr", settings=SETTINGS)
