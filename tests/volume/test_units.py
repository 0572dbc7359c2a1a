"""Units of length: every reader knows the same ones, and none takes another for millimetres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
import zarr
from conftest import make_photographs, make_scan
from ngff_zarr.v04.zarr_metadata import space_units
from scipy import constants

from medcolor.errors import InputError
from medcolor.run.look import look_at
from medcolor.run.plan import resolve_hardware
from medcolor.run.serial import SerialRunner
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.units import UNSAID, millimetres

DEFAULT = VolumeSettings()
STACK = np.random.default_rng(1).integers(0, 99, (4, 6, 5)).astype(np.uint8)
SPACING = (4.0, 3.0, 2.0)
"""Along z, y, x, in the unit."""

ORACLE = {
    "m": 1, "meter": 1, "metres": 1, "cm": constants.centi, "mm": constants.milli,
    "millimeters": constants.milli, "um": constants.micro, "\u00b5m": constants.micro,
    "\u03bcm": constants.micro, "\\u00B5m": constants.micro, "micron": constants.micron,
    "microns": constants.micron, "Micrometre": constants.micro, "nm": constants.nano,
    "nanometer": constants.nano, "\u00c5": constants.angstrom, "\u212b": constants.angstrom,
    "angstroms": constants.angstrom, "inch": constants.inch, "inches": constants.inch,
    "in": constants.inch, "thou": constants.mil, "pt": constants.point, "ft": constants.foot,
    "yard": constants.yard, "mile": constants.mile, "Mm": constants.mega, "MM": constants.milli,
    "km": constants.kilo, "pm": constants.pico, "Pm": constants.peta, "dm": constants.deci,
}  # fmt: skip
"""In metres, by SciPy."""


def nifti(folder: Path, unit: str) -> Path:
    image = nib.Nifti1Image(STACK.transpose(2, 1, 0), np.diag([-2.0, -3.0, 4.0, 1.0]))
    image.header.set_xyzt_units({"um": "micron", "m": "meter", "": "unknown"}.get(unit, unit))
    nib.save(image, folder / "scan.nii")
    return folder / "scan.nii"


def nrrd(folder: Path, unit: str, is_placed: bool) -> Path:
    units = " ".join([f'"{unit}"'] * 3)
    where = ("spacings: 2 3 4", f"units: {units}")
    if is_placed:
        axes = "space directions: (2,0,0) (0,3,0) (0,0,4)"
        where = ("space: left-posterior-superior", axes, f"space units: {units}")
    lines = ("NRRD0005", "type: uint8", "dimension: 3", "sizes: 5 6 4", "encoding: raw", *where)
    (folder / "scan.nrrd").write_bytes("\n".join([*lines, "", ""]).encode() + STACK.tobytes())
    return folder / "scan.nrrd"


def ome_zarr(folder: Path, unit: str) -> Path:
    group = zarr.open_group(str(folder / "scan.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=STACK)
    axes = [{"name": n, "type": "space", **({"unit": unit} if unit else {})} for n in "zyx"]
    steps = [{"type": "scale", "scale": [4, 3, 2]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    return folder / "scan.zarr"


def imagej(folder: Path, unit: str) -> Path:
    about = {"spacing": 4.0, "axes": "ZYX", **({"unit": unit} if unit else {})}
    tifffile.imwrite(
        folder / "scan.tif", STACK, imagej=True, resolution=(1 / 2, 1 / 3), metadata=about
    )
    return folder / "scan.tif"


def ome_tiff(folder: Path, unit: str) -> Path:
    sizes = dict(zip(("Z", "Y", "X"), SPACING, strict=True))
    about = {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
    about |= {f"PhysicalSize{axis}Unit": unit for axis in sizes if unit}
    tifffile.imwrite(
        folder / "scan.tif", STACK, ome=True, photometric="minisblack",
        metadata={"axes": "ZYX", **about},
    )  # fmt: skip
    return folder / "scan.tif"


WRITERS: dict[str, tuple[Callable[[Path, str], Path], tuple[str, ...]]] = {
    "NIfTI": (nifti, ("mm", "um", "m")),
    "NRRD": (lambda f, unit: nrrd(f, unit, True), ("mm", "um", "microns", "nm", "cm", "inch")),
    "NRRD, spacings": (lambda f, unit: nrrd(f, unit, False), ("mm", "\u03bcm", "meters")),
    "OME-Zarr": (ome_zarr, ("millimeter", "micrometer", "nanometer", "inch", "mm", "um")),
    "ImageJ": (imagej, ("mm", "um", "micron", "\\u00B5m", "cm", "inch", "nm")),
    "OME-TIFF": (ome_tiff, ("mm", "\u00b5m", "nm", "cm", "in", "\u00c5")),
}
"""How each is written, and the units that are usual in it."""

CASES = [(name, unit) for name, (_, units) in WRITERS.items() for unit in units]


@pytest.mark.parametrize("unit", ORACLE)
def test_a_unit_is_as_long_as_scipy_says(unit):
    assert millimetres(unit) == pytest.approx(1000 * ORACLE[unit])


@pytest.mark.parametrize("unit", sorted({*space_units} - {"", "parsec"}))
def test_every_unit_of_ome_zarr_on_earth_is_known(unit):
    assert millimetres(unit)


def spacing_of(path: Path, staging: Path, **settings: object) -> tuple[float, ...]:
    return open_volume(path, VolumeSettings(**settings), staging).geometry.spacing_mm


@pytest.mark.parametrize(("name", "unit"), CASES)
def test_every_reader_takes_lengths_in_the_unit_of_the_header(name, unit, tmp_path):
    path = WRITERS[name][0](tmp_path, unit)
    length = 1000 * ORACLE.get(unit, ORACLE.get(f"{unit}s", 0)) or millimetres(unit)
    found = open_volume(path, DEFAULT, tmp_path).geometry
    assert found.spacing_mm == pytest.approx([length * side for side in SPACING], rel=1e-6)
    assert UNSAID not in found.steps


@pytest.mark.parametrize("name", WRITERS)
def test_the_users_word_counts_more_than_the_header(name, tmp_path):
    path = WRITERS[name][0](tmp_path, "mm")
    found = open_volume(path, VolumeSettings(length_unit="um"), tmp_path).geometry
    assert found.spacing_mm == pytest.approx([side / 1000 for side in SPACING])
    assert "TIFF" in name or name == "ImageJ" or "lengths taken in um" in found.steps


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "NIfTI"])
def test_every_reader_names_a_unit_that_it_does_not_know(name, tmp_path):
    path = WRITERS[name][0](tmp_path, "furlong")
    with pytest.raises(InputError, match=r"lengths in 'furlong'.*--set volume\.length_unit=mm"):
        open_volume(path, DEFAULT, tmp_path)
    assert spacing_of(path, tmp_path, length_unit="mm") == pytest.approx(SPACING)


@pytest.mark.parametrize("name", ["NIfTI", "NRRD", "NRRD, spacings", "OME-Zarr"])
def test_a_header_without_a_unit_is_taken_in_millimetres_and_so_it_is_told(name, tmp_path):
    """As every other reader of these formats takes it."""
    found = open_volume(WRITERS[name][0](tmp_path, ""), DEFAULT, tmp_path).geometry
    assert found.spacing_mm == pytest.approx(SPACING)
    assert UNSAID in found.steps


def test_ome_tiff_without_a_unit_is_in_micrometres(tmp_path):
    """By the schema of OME."""
    found = spacing_of(ome_tiff(tmp_path, ""), tmp_path)
    assert found == pytest.approx([side / 1000 for side in SPACING])


@pytest.mark.parametrize(
    ("write", "unit"),
    [(imagej, ""), (imagej, "pixel"), (ome_tiff, "pixel"), (ome_tiff, "reference frame")],
)
def test_a_tiff_that_nobody_measured_needs_its_spacing(write, unit, tmp_path):
    path = write(tmp_path, unit)
    with pytest.raises(InputError, match=r"volume\.spacing_mm"):
        open_volume(path, DEFAULT, tmp_path)
    assert spacing_of(path, tmp_path, length_unit="um") == pytest.approx([0.004, 0.003, 0.002])


def test_the_micron_sign_of_latin_1_is_one(tmp_path):
    path = nrrd(tmp_path, "?m", is_placed=True)
    path.write_bytes(path.read_bytes().replace(b'"?m"', b'"\xb5m"'))
    assert spacing_of(path, tmp_path) == pytest.approx([0.004, 0.003, 0.002])


def test_a_unit_that_is_none_is_refused_as_a_setting():
    with pytest.raises(ValueError, match="must be a unit of length"):
        VolumeSettings(length_unit="sec")


@pytest.mark.parametrize("said", [None, "mm"])
def test_a_run_warns_of_a_unit_that_nobody_named(tmp_path, quick, caplog, said):
    photographs = make_photographs(tmp_path / "photographs")
    scan = make_scan(tmp_path / "scan.nii.gz")
    image = nib.load(scan)
    nib.save(nib.Nifti1Image(image.get_fdata(), image.affine), scan)  # nibabel names no unit
    volume = replace(quick.volume, length_unit=said)
    settings = resolve_hardware(quick.model_copy(update={"volume": volume}))
    look_at(scan, photographs, tmp_path / "out.ome.zarr", settings, SerialRunner(), tmp_path)
    told = [one for one in caplog.messages if "--set volume.length_unit" in one]
    assert bool(told) == (said is None)
