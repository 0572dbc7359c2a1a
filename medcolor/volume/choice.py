"""One of several volumes in a file: by what the settings say, never by itself."""

from __future__ import annotations

from typing import Literal

from medcolor.errors import InputError
from medcolor.volume.settings import VolumeSettings


def chosen(
    place: object,
    key: Literal["channel", "time_point"],
    count: int,
    settings: VolumeSettings,
    *,
    what: str,
) -> int:
    """Return which of `count` the settings choose; the only one needs no choice.

    Args:
        place: What errors name.
        key: The setting.
        count: How many there are.
        settings: Chosen by hand.
        what: They are, in the plural.

    Raises:
        InputError: Several and none chosen, or one that is not there.
    """
    number: int | None = getattr(settings, key)
    if number is None and count == 1:
        return 0
    if number is None or number >= count:
        found = "" if number is None else f", not number {number}"
        raise InputError(
            place,
            f"{count} {what}{found}",
            f"Choose one of 0 to {count - 1}: --set volume.{key}=0",
        )
    return number
