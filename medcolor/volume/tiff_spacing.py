"""How far apart the voxels of a TIFF file are, where ImageJ or OME say it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import tifffile

from medcolor.volume.units import in_millimetres, is_said

Spacing = tuple[float, float, float]
_PER_CM = 3
"""TIFF's code of a resolution per centimetre."""

_MICROMETRE = "\u00b5m"
"""The unit of OME where none is said."""

_NO_LENGTHS = ("pixel", "pixels", "reference frame")
"""Of OME and ImageJ: nobody measured."""


def stated_spacing(
    path: object, file: tifffile.TiffFile, number: int, said: str | None
) -> Spacing | None:
    """Return the spacing in mm along z, y, x; None where the file does not say it.

    Args:
        path: What errors name.
        file: The open file.
        number: Of the image, where OME has several in a file.
        said: The unit that the user says, which counts more than the file's.

    Raises:
        InputError: It is in a unit that is no length.
    """
    stated = _of_ome(file, number) if file.is_ome else _of_imagej(file)
    if stated is None:
        return None
    lengths, units = stated
    if said is None and any(not is_said(unit) or unit.lower() in _NO_LENGTHS for unit in units):
        return None
    factors, _ = in_millimetres(path, units, said)
    z, y, x = (float(one) for one in np.abs(lengths) * np.array(factors))
    return (z, y, x) if np.isfinite([z, y, x]).all() and min(z, y, x) > 0 else None


def _of_ome(file: tifffile.TiffFile, number: int) -> tuple[list[float], list[str]] | None:
    """Return sizes along z, y, x and their units."""
    root = ET.fromstring(file.ome_metadata or "<OME/>")
    pixels = [one for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"]
    if number >= len(pixels):
        return None
    about = pixels[number].attrib
    sizes = [about.get(f"PhysicalSize{axis}") for axis in "ZYX"]
    if None in sizes:
        return None
    units = [about.get(f"PhysicalSize{axis}Unit", _MICROMETRE) for axis in "ZYX"]
    return [float(size or 0) for size in sizes], units


def _of_imagej(file: tifffile.TiffFile) -> tuple[list[float], list[str]] | None:
    """Return sizes along z, y, x and their units, as Fiji and ImageJ write them."""
    about = file.imagej_metadata or {}
    common = about.get("unit")
    units = [str(about.get(name) or common or "") for name in ("zunit", "yunit", "unit")]
    tags = file.pages[0].aspage().tags
    found = [tags.get(name) for name in ("YResolution", "XResolution")]
    if not about.get("spacing") or any(tag is None for tag in found):
        return None
    pixels, per = np.array([tag.value for tag in found if tag is not None], float).T
    side = per / np.where(pixels == 0, np.nan, pixels)
    if common == "um" and getattr(tags.get("ResolutionUnit"), "value", 0) == _PER_CM:
        side = side * 1e4  # the one disagreement of tag and description that ImageJ mends
    return [float(about["spacing"]), *(float(one) for one in side)], units
