"""What TIFF files, and those of ImageJ and OME, say of values and lengths is applied or refused.

Against tifffile, and the rules of ImageJ's FileOpener and Calibration.
"""

import numpy as np
import pytest
import tifffile
from dicom_files import values_of
from volume.test_values import words

from medcolor.errors import InputError
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()
SPACED = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))


def write_slices(folder, stack, **how):
    """Write a file of pages, and the same as a folder of files."""
    tifffile.imwrite(folder / "pages.tif", stack, metadata=None, **how)
    (folder / "files").mkdir()
    for z, plane in enumerate(stack):
        tifffile.imwrite(folder / "files" / f"{z}.tif", plane, metadata=None, **how)
    return folder / "pages.tif", folder / "files"


@pytest.mark.parametrize("is_folder", [False, True], ids=["pages", "folder"])
@pytest.mark.parametrize(
    ("dtype", "how"),
    [
        ("u1", {}),
        ("<u2", {}),
        ("<i2", {}),
        (">u2", {"byteorder": ">"}),
        ("<f4", {}),
        ("<i4", {}),
        ("<u2", {"compression": "zlib", "predictor": True}),
        ("<u2", {"compression": "zstd"}),
        ("<u2", {"bitspersample": 12}),
    ],
)
def test_tiff_values_are_tifffiles(tmp_path, dtype, how, is_folder):
    stack = words(dtype) & 4095 if "bitspersample" in how else words(dtype)
    made = write_slices(tmp_path, stack, photometric="minisblack", **how)
    np.testing.assert_array_equal(tifffile.imread(made[0]), stack)
    found = values_of(open_volume(made[is_folder], SPACED, tmp_path))
    np.testing.assert_array_equal(found, stack.astype(np.float32))


@pytest.mark.parametrize("is_folder", [False, True], ids=["pages", "folder"])
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_a_tiff_that_counts_from_white_is_turned_over(tmp_path, dtype, is_folder):
    """Also of 16 bits in a folder, which OpenCV does not."""
    stack = words(dtype)
    made = write_slices(tmp_path, stack, photometric="miniswhite")
    white = 0 if dtype == "<f4" else np.iinfo(dtype).max
    found = values_of(open_volume(made[is_folder], SPACED, tmp_path))
    np.testing.assert_array_equal(found, (white - stack.astype(float)).astype(np.float32))


def test_a_page_of_indices_among_others_is_refused(tmp_path):
    path = tmp_path / "scan.tif"
    with tifffile.TiffWriter(path) as writer:
        for z, plane in enumerate(words("u1")):
            palette = {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}
            how = palette if z == 2 else {"photometric": "minisblack"}
            writer.write(plane, metadata=None, **how)
    with pytest.raises(InputError, match="indexed"):
        values_of(open_volume(path, SPACED, tmp_path))


def test_grey_pages_with_alpha_are_their_grey(tmp_path):
    stack = np.stack([words("u1"), words("u1", seed=2)], axis=-1)
    tifffile.imwrite(
        tmp_path / "scan.tif",
        stack,
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
        metadata=None,
    )
    found = values_of(open_volume(tmp_path / "scan.tif", SPACED, tmp_path))
    np.testing.assert_array_equal(found, stack[..., 0])


def test_samples_of_rgb_beyond_alpha_are_refused(tmp_path):
    how = {"photometric": "rgb", "planarconfig": "contig", "metadata": None}
    tifffile.imwrite(tmp_path / "scan.tif", np.zeros((4, 6, 5, 5), np.uint8), **how)
    with pytest.raises(InputError, match="5 samples a pixel"):
        open_volume(tmp_path / "scan.tif", SPACED, tmp_path)


CALIBRATED = {"axes": "ZYX", "cf": 0, "c0": -32768.0, "c1": 1.0, "vunit": "Gray Value"}


@pytest.mark.parametrize(
    ("about", "slope", "intercept"),
    [
        (CALIBRATED, 1, -32768),  # how ImageJ keeps signed numbers of 16 bits
        ({**CALIBRATED, "c0": -1000.5, "c1": 0.25}, 0.25, -1000.5),
        ({**CALIBRATED, "cf": 20}, 1, 0),
        ({key: value for key, value in CALIBRATED.items() if key != "vunit"}, 1, 0),
    ],
)
def test_values_that_imagej_calibrated_are_those_it_shows(tmp_path, about, slope, intercept):
    """Calibration and FileOpener of ImageJ: a line, if values have a unit."""
    stack = words("<u2")
    tifffile.imwrite(tmp_path / "scan.tif", stack, imagej=True, metadata=about)
    (tmp_path / "files").mkdir()
    for z, plane in enumerate(stack):
        about_one = {**about, "axes": "YX"}
        tifffile.imwrite(tmp_path / "files" / f"{z}.tif", plane, imagej=True, metadata=about_one)
    for path in (tmp_path / "scan.tif", tmp_path / "files"):
        found = values_of(open_volume(path, SPACED, tmp_path))
        np.testing.assert_array_equal(found, stack * float(slope) + intercept)


def test_values_calibrated_by_a_curve_are_refused(tmp_path):
    about = {**CALIBRATED, "cf": 3, "c2": 0.1}
    tifffile.imwrite(tmp_path / "scan.tif", words("<u2"), imagej=True, metadata=about)
    with pytest.raises(InputError, match="calibrated by a curve"):
        open_volume(tmp_path / "scan.tif", SPACED, tmp_path)


@pytest.mark.parametrize(
    ("about", "spacing"),
    [
        ({"unit": "mm", "zunit": "um", "spacing": 500.0}, (0.5, 0.25, 0.5)),
        ({"unit": "um", "yunit": "mm", "spacing": 2.0}, (0.002, 0.25, 0.0005)),
        ({"unit": "inch", "spacing": 1.0}, (25.4, 6.35, 12.7)),
        ({"unit": "mm", "spacing": -2.0}, (2, 0.25, 0.5)),  # ImageJ drops the sign
    ],
)
def test_each_axis_of_imagej_has_its_unit(tmp_path, about, spacing):
    tifffile.imwrite(
        tmp_path / "scan.tif",
        words("<u2"),
        imagej=True,
        resolution=(1 / 0.5, 1 / 0.25),
        metadata={"axes": "ZYX", **about},
    )
    volume = open_volume(tmp_path / "scan.tif", DEFAULT, tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx(spacing)


def test_an_imagej_axis_in_no_length_has_no_spacing(tmp_path):
    about = {"axes": "ZYX", "unit": "mm", "zunit": "sec", "spacing": 2.0}
    tifffile.imwrite(
        tmp_path / "scan.tif", words("<u2"), imagej=True, resolution=(2, 4), metadata=about
    )
    with pytest.raises(InputError, match=r"lengths in 'sec'.*volume\.length_unit"):
        open_volume(tmp_path / "scan.tif", DEFAULT, tmp_path)


@pytest.mark.parametrize(
    ("how", "axes"), [("imagej", "TZCYX"), ("ome", "TZCYX"), ("ome", "TCZYX"), ("ome", "ZTCYX")]
)
def test_a_hyperstack_is_one_channel_and_time(tmp_path, how, axes):
    sides = {"T": 2, "Z": 4, "C": 3, "Y": 6, "X": 5}
    stack = np.random.default_rng(0).integers(0, 999, [sides[axis] for axis in axes], np.uint16)
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, stack, metadata={"axes": axes}, **{how: True})
    for settings, problem in (
        (SPACED, r"3 channels.*volume\.channel=0"),
        (VolumeSettings(spacing_mm=(1.0, 1.0, 1.0), channel=1), r"2 time points.*time_point=0"),
        (VolumeSettings(spacing_mm=(1.0, 1.0, 1.0), channel=3), "not number 3"),
    ):
        with pytest.raises(InputError, match=problem):
            open_volume(path, settings, tmp_path)
    settings = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0), channel=1, time_point=1)
    by_axis = stack.transpose([axes.index(axis) for axis in "TCZYX"])
    found = values_of(open_volume(path, settings, tmp_path))
    np.testing.assert_array_equal(found, by_axis[1, 1])
