"""What headers of NIfTI, NRRD and OME-Zarr say of values and lengths is applied or refused.

Against nibabel, SimpleITK, pynrrd and zarr.
"""

import struct

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import zarr
from dicom_files import values_of

from medcolor.errors import InputError
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()
SHAPE = (4, 6, 5)
AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])


def words(dtype, seed=1):
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.random.default_rng(seed).normal(0, 1e3, SHAPE).astype(kind)
    ends = np.iinfo(kind)
    found = np.random.default_rng(seed).integers(ends.min, ends.max, SHAPE, endpoint=True)
    return found.astype(kind)


def write_nifti(path, stack, affine=AFFINE, kind=nib.Nifti1Image):
    image = kind(stack.transpose(2, 1, 0), affine, dtype=stack.dtype)
    nib.save(image, path)
    return path


def patched(path, offset, content):
    whole = bytearray(path.read_bytes())
    whole[offset : offset + len(content)] = content
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
@pytest.mark.parametrize(
    "scaling", [(1, 0), (2.5, -3), (-0.1, 1e-3), (0, 5), (np.nan, 5), (np.inf, 0)]
)
def test_nifti_values_are_nibabels(tmp_path, dtype, scaling, order):
    """Slope and intercept in double precision; a slope of 0 is none, whatever the intercept."""
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(order + dtype)
    image = nib.Nifti1Image(words(order + dtype).transpose(2, 1, 0), AFFINE, header)
    nib.save(image, tmp_path / "scan.nii")
    patched(tmp_path / "scan.nii", 112, struct.pack(f"{order}2f", *scaling))
    expected = nib.load(tmp_path / "scan.nii").get_fdata().transpose(2, 1, 0)
    found = values_of(open_volume(tmp_path / "scan.nii", DEFAULT, tmp_path))
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("form", ["sform", "qform", "neither"])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 2 | 8, 3 | 16])
def test_nifti_lies_where_simpleitk_puts_it_in_its_unit(tmp_path, code, form):
    path = write_nifti(tmp_path / "scan.nii", words("i2"))
    patched(path, 123, bytes([code]))
    codes = {"sform": (1, 1), "qform": (1, 0), "neither": (0, 0)}[form]
    patched(path, 252, struct.pack("<2h", *codes))
    volume = open_volume(path, DEFAULT, tmp_path)
    image = sitk.ReadImage(str(path))
    assert volume.geometry.spacing_mm == pytest.approx(image.GetSpacing()[::-1])
    if form != "neither":  # SimpleITK then has an origin of its own
        first = np.array(volume.geometry.affine)[:3, 3] * [-1, -1, 1]
        np.testing.assert_allclose(first, image.GetOrigin(), atol=1e-6)


@pytest.mark.parametrize("code", [4, 5, 7])
def test_a_nifti_unit_that_is_no_length_is_refused(tmp_path, code):
    path = patched(write_nifti(tmp_path / "scan.nii", words("i2")), 123, bytes([code]))
    with pytest.raises(InputError, match=rf"lengths in 'code {code}'.*volume\.length_unit=mm"):
        open_volume(path, DEFAULT, tmp_path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_analyze_is_refused_since_it_does_not_tell_left_from_right(tmp_path, order):
    header = nib.AnalyzeHeader(endianness=order)
    header.set_data_dtype(f"{order}i2")
    image = nib.AnalyzeImage(words(f"{order}i2"), np.eye(4), header)
    nib.save(image, tmp_path / "scan.hdr")
    with pytest.raises(InputError, match=r"Analyze.*left from right.*Convert it to NIfTI"):
        open_volume(tmp_path / "scan.hdr", DEFAULT, tmp_path)


def write_nrrd(path, stack, *lines):
    kind = {"i2": "int16", "u1": "uint8"}[stack.dtype.str[1:]]
    head = ["NRRD0005", f"type: {kind}", "dimension: 3", "sizes: 5 6 4", "encoding: raw", *lines]
    path.write_bytes("\n".join([*head, "", ""]).encode() + stack.tobytes())
    return path


PLACED = ("space: left-posterior-superior", "space directions: (2,0,0) (0,3,0) (0,0,4)")


@pytest.mark.parametrize(("end", "order"), [("little", "<"), ("Little", "<"), ("BIG", ">")])
def test_nrrd_is_read_in_the_byte_order_that_it_names(tmp_path, end, order):
    stack = words(f"{order}i2")
    path = write_nrrd(tmp_path / "scan.nrrd", stack, f"endian: {end}", *PLACED)
    np.testing.assert_array_equal(values_of(open_volume(path, DEFAULT, tmp_path)), stack)


@pytest.mark.parametrize("lines", [(), ("endian: middle",)])
def test_an_nrrd_without_byte_order_is_refused_as_pynrrd_does(tmp_path, lines):
    path = write_nrrd(tmp_path / "scan.nrrd", words("<i2"), *lines, *PLACED)
    with pytest.raises(nrrd.NRRDError, match="endian"):
        nrrd.read(str(path))
    with pytest.raises(InputError, match="expected little or big"):
        open_volume(path, DEFAULT, tmp_path)


def test_bytes_need_no_order(tmp_path):
    path = write_nrrd(tmp_path / "scan.nrrd", words("u1"), *PLACED)
    np.testing.assert_array_equal(
        values_of(open_volume(path, DEFAULT, tmp_path)), nrrd.read(str(path))[0].transpose(2, 1, 0)
    )


@pytest.mark.parametrize(
    ("units", "spacing"),
    [
        ('"mm" "mm" "mm"', (4, 3, 2)),
        ('"" "" ""', (4, 3, 2)),
        ('"um" "um" "um"', (0.004, 0.003, 0.002)),
        ('"micrometers" "cm" "meter"', (4000, 30, 0.002)),
    ],
)
@pytest.mark.parametrize("is_placed", [True, False])
def test_lengths_of_an_nrrd_are_in_its_units(tmp_path, units, spacing, is_placed):
    lines = (*PLACED, f"space units: {units}", "space origin: (10,20,30)")
    if not is_placed:
        lines = ("spacings: 2 3 4", f"units: {units}")
    path = write_nrrd(tmp_path / "scan.nrrd", words("u1"), *lines)
    volume = open_volume(path, DEFAULT, tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx(spacing)
    if is_placed:
        first = np.array(volume.geometry.affine)[:3, 3]
        factors = np.array(spacing)[::-1] / [2, 3, 4]
        np.testing.assert_allclose(first, factors * [-10, -20, 30], atol=1e-6)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((*PLACED, 'space units: "furlong" "mm" "mm"'), "lengths in 'furlong'"),
        ((*PLACED, 'space units: "mm" "mm"'), "2 space units"),
        (
            (*PLACED, "kinds: RGB-color space space"),
            "axes of kinds rgb-color space space, expected 3 of space",
        ),
        (
            ("spacings: 2 3 4", "kinds: space space list"),
            "axes of kinds space space list, expected 3 of space",
        ),
        (("spacings: 2 -3 4",), "spacings above 0"),
        ((PLACED[0], "space directions: (2,0) (0,3) (0,4)"), "without directions|NRRD header"),
    ],
)
def test_an_nrrd_whose_header_means_something_else_is_refused(tmp_path, lines, problem):
    path = write_nrrd(tmp_path / "scan.nrrd", words("u1"), *lines)
    with pytest.raises(InputError, match=problem):
        open_volume(path, DEFAULT, tmp_path)


def write_ome_zarr(path, stack, axes, steps):
    """Write version 0.4, whose arrays may be big-endian."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=stack)
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    return path


def axes_of(unit, **more):
    return [{"name": name, **({"unit": unit} if unit else {}), **more} for name in "zyx"]


SCALE = {"type": "scale", "scale": [4, 3, 2]}


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", ">u2", "<f4", ">f8"])
def test_ome_zarr_values_are_zarrs(tmp_path, dtype):
    stack = words(dtype)
    path = write_ome_zarr(tmp_path / "scan.ome.zarr", stack, axes_of("millimeter"), [SCALE])
    stored = zarr.open_array(str(path / "0"), mode="r")[:]
    np.testing.assert_array_equal(stored, stack)
    found = values_of(open_volume(path, DEFAULT, tmp_path))
    np.testing.assert_array_equal(found, stack.astype(np.float32))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("", 1), ("mm", 1), ("millimeter", 1), ("micrometer", 1e-3), ("µm", 1e-3), ("meter", 1e3)],
)
@pytest.mark.parametrize("more", [{"type": "space"}, {}])
def test_ome_zarr_lengths_are_in_its_unit(tmp_path, unit, factor, more):
    """Axes of space are known by their names where no type is said."""
    path = tmp_path / "scan.ome.zarr"
    write_ome_zarr(path, words("u1"), axes_of(unit, **more), [{"type": "identity"}, SCALE])
    spacing = open_volume(path, DEFAULT, tmp_path).geometry.spacing_mm
    assert spacing == pytest.approx((4 * factor, 3 * factor, 2 * factor))


@pytest.mark.parametrize(
    ("unit", "steps", "problem"),
    [
        ("parsec", [SCALE], "lengths in 'parsec'"),
        ("", [{"type": "scale", "scale": [4]}], "scale of 1 numbers, expected 3"),
        ("", [{"type": "scale", "scale": [4, 3, -2]}], "above 0"),
        ("", [SCALE, {"type": "rotation", "rotation": [1, 0]}], "neither scale nor translation"),
        ("", [{"type": "scale", "path": "elsewhere"}], "neither scale nor translation"),
    ],
)
def test_an_ome_zarr_whose_metadata_mean_something_else_is_refused(tmp_path, unit, steps, problem):
    path = write_ome_zarr(tmp_path / "scan.ome.zarr", words("u1"), axes_of(unit), steps)
    with pytest.raises(InputError, match=problem):
        open_volume(path, DEFAULT, tmp_path)
