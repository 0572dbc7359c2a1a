"""How a DICOM file begins, with its preamble or, as older software saves them, without.

Without `DICM` at byte 128 a file is taken for DICOM if its first elements are ones: of the groups
that a file begins with, in rising order, of lengths that can be.
"""

from __future__ import annotations

import struct

HEAD_BYTES = 544
_MAGIC = slice(128, 132)
_FIRST_GROUPS = (0x0002, 0x0008)
_PIXELS_GROUP = 0x7FE0
_HIGHEST_ELEMENT = 0x1FFF
_LONGEST_BYTES = 1 << 16
_ELEMENTS = 3
"""So many in order are no accident."""

_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # fmt: skip
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


def has_preamble(head: bytes) -> bool:
    """Tell a DICOM file as the standard has them by its first bytes."""
    return head[_MAGIC] == b"DICM"


def is_dicom(head: bytes) -> bool:
    """Tell a DICOM file by its first `HEAD_BYTES`."""
    return has_preamble(head) or any(_begins_with_elements(head, order) for order in "<>")


def _begins_with_elements(head: bytes, order: str) -> bool:
    """Tell whether the first elements are in order; fewer will do where they fill the head."""
    at, last = 0, (0, -1)
    for _ in range(_ELEMENTS):
        if at + 12 > len(head):
            return last[1] >= 0 and len(head) == HEAD_BYTES
        group, element = struct.unpack_from(f"{order}HH", head, at)
        is_known = group in _FIRST_GROUPS if last[1] < 0 else group < _PIXELS_GROUP
        if not (is_known and element <= _HIGHEST_ELEMENT and (group, element) > last):
            return False
        size = _element_bytes(head, at, order)
        if size is None:
            return False
        at, last = at + size, (group, element)
    return True


def _element_bytes(head: bytes, at: int, order: str) -> int | None:
    """Return the length of an element, its own head included; None where it cannot be one."""
    kind = head[at + 4 : at + 6]
    if kind in _VRS:
        start, length = 8, struct.unpack_from(f"{order}H", head, at + 6)[0]
    elif kind in _LONG_VRS:
        start, length = 12, struct.unpack_from(f"{order}I", head, at + 8)[0]
    elif order == "<":  # without a word for its kind only this order is used
        start, length = 8, struct.unpack_from("<I", head, at + 4)[0]
    else:
        return None
    return start + length if length < _LONGEST_BYTES and length % 2 == 0 else None
