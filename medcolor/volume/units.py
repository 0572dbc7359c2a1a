"""Units of length that headers name, in millimetres."""

from __future__ import annotations

from medcolor.errors import InputError

_MILLIMETRES = {
    "m": 1e3, "meter": 1e3, "metre": 1e3,
    "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0,
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0,
    "um": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3,
    "micrometer": 1e-3, "micrometre": 1e-3,
    "nm": 1e-6, "nanometer": 1e-6, "nanometre": 1e-6,
    "angstrom": 1e-7, "in": 25.4, "inch": 25.4,
}  # fmt: skip
"""Of units in lower case, singular; ImageJ writes a micron sign as its escape."""

_NO_UNIT = ("", "none", "unknown", "???")


def millimetres(unit: object) -> float | None:
    """Return how long a unit is; None where none is said or it is no length known here."""
    name = str(unit or "").strip().lower()
    return _MILLIMETRES.get(name, _MILLIMETRES.get(name.removesuffix("s")))


def known_millimetres(place: object, unit: object) -> float:
    """Return how long a unit is; 1 where none is said.

    Raises:
        InputError: It is no length known here.
    """
    if str(unit or "").strip().lower() in _NO_UNIT:
        return 1.0
    length = millimetres(unit)
    if length is None:
        named = "".join(letter for letter in str(unit)[:20] if letter.isprintable())
        raise InputError(
            place,
            f"lengths in {named!r}, expected millimeter, micrometer or another unit of length",
            "Mend its header",
        )
    return length
