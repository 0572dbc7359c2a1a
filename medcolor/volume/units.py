"""Units of length that headers name, in millimetres: one table for every reader.

Names and symbols of NIfTI, NRRD, OME (UnitsLength), OME-Zarr (UDUNITS-2) and ImageJ.
"""

from __future__ import annotations

from collections.abc import Sequence

from medcolor.errors import InputError

UNSAID = "no unit of length named: taken for millimetres"
"""What was done, in words."""

_PREFIXES = {
    "": ("", 3), "Y": ("yotta", 27), "Z": ("zetta", 24), "E": ("exa", 21), "P": ("peta", 18),
    "T": ("tera", 15), "G": ("giga", 12), "M": ("mega", 9), "k": ("kilo", 6), "h": ("hecto", 5),
    "da": ("deca", 4), "d": ("deci", 2), "c": ("centi", 1), "m": ("milli", 0), "u": ("micro", -3),
    "n": ("nano", -6), "p": ("pico", -9), "f": ("femto", -12), "a": ("atto", -15),
    "z": ("zepto", -18), "y": ("yocto", -21),
}  # fmt: skip
"""Symbols, names and powers of ten, in millimetres."""

_INCH = 25.4
_OTHERS = {
    "micron": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "\\u00b5m": 1e-3,
    "\udcb5m": 1e-3,
    "angstrom": 1e-7, "\u00e5": 1e-7, "\u212b": 1e-7,
    "in": _INCH, "inch": _INCH, "inche": _INCH, "thou": _INCH / 1000, "mil": _INCH / 1000,
    "pt": _INCH / 72, "li": _INCH / 12, "ft": 12 * _INCH, "foot": 12 * _INCH, "feet": 12 * _INCH,
    "yd": 36 * _INCH, "yard": 36 * _INCH, "mi": 63360 * _INCH, "mile": 63360 * _INCH,
}  # fmt: skip
"""In lower case, singular; ImageJ writes a micron sign as its escape, and of Latin-1 it is a byte
that is no UTF-8."""

_MILLIMETRES = {f"{symbol}m": 10.0**power for symbol, (_, power) in _PREFIXES.items()}
_MILLIMETRES |= {
    f"{name}{end}": 10.0**power for name, power in _PREFIXES.values() for end in ("meter", "metre")
}
_MILLIMETRES |= _OTHERS

_NO_UNIT = ("", "none", "unknown", "???", "null")


def millimetres(unit: object) -> float | None:
    """Return how long a unit is; None where none is said or it is no length known here.

    Symbols of large units differ from others in their case alone (Mm, mm); else case is free.
    """
    name = str(unit or "").strip()
    spellings = (name, name.lower(), name.lower().removesuffix("s"))
    return next((_MILLIMETRES[one] for one in spellings if one in _MILLIMETRES), None)


def is_said(unit: object) -> bool:
    """Tell whether a header names a unit at all."""
    return str(unit or "").strip().lower() not in _NO_UNIT


def in_millimetres(
    place: object, units: Sequence[object], said: str | None
) -> tuple[list[float], tuple[str, ...]]:
    """Return how long the units of axes are.

    Args:
        place: What errors name.
        units: As the header has them; empty, None or a word for it where it names none.
        said: The user's word, `volume.length_unit`, which counts more.

    Returns:
        Millimetres of each, 1 where none is named, and in words what is not the header's.

    Raises:
        InputError: One is no length known here.
    """
    if said is not None:
        return [millimetres(said) or 1.0] * len(units), (f"lengths taken in {said}",)
    lengths = [millimetres(unit) if is_said(unit) else 1.0 for unit in units]
    if None in lengths:
        named = str(units[lengths.index(None)])[:20]
        shown = "".join(letter for letter in named if letter.isprintable())
        raise InputError(
            place,
            f"lengths in {shown!r}, expected millimeter, micrometer or another unit of length",
            "Mend its header, or say which: --set volume.length_unit=mm",
        )
    told = () if all(map(is_said, units)) else (UNSAID,)
    return [length or 1.0 for length in lengths], told
