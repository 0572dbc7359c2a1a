"""One of several volumes in a file: by what the settings say, never by itself."""

from __future__ import annotations

from typing import Literal

from medcolor.errors import InputError
from medcolor.volume.settings import VolumeSettings

_WORDS = {"channel": "channel", "time_point": "time point"}


def chosen(
    place: object,
    key: Literal["channel", "time_point"],
    count: int,
    settings: VolumeSettings,
) -> int:
    """Return which of `count` the settings choose; the only one needs no choice.

    Args:
        place: What errors name.
        key: The setting.
        count: How many there are.
        settings: Chosen by hand.

    Raises:
        InputError: Several and none chosen, or one that is not there.
    """
    number: int | None = getattr(settings, key)
    what = f"{count} {_WORDS[key]}{'s' if count != 1 else ''}"
    if number is None and count == 1:
        return 0
    if number is not None and 0 <= number < count:
        return number
    if count == 1:
        raise InputError(place, f"{what}, not number {number}", f"Leave volume.{key} unset")
    raise InputError(
        place,
        what if number is None else f"{what}, not number {number}",
        f"Choose one of 0 to {count - 1}: --set volume.{key}=0",
    )


def chosen_volume(
    place: object, settings: VolumeSettings, *, channels: int = 1, time_points: int = 1
) -> tuple[int, int]:
    """Return the channel and the time point that the settings choose.

    Every reader asks here, in these words, whatever its format calls them: what holds one volume
    alone asks, too, since a choice that does nothing is a mistake.

    Args:
        place: What errors name.
        settings: `channel` and `time_point`.
        channels: How many there are, or components of vectors and colours.
        time_points: How many there are, or whatever else a file lists whole volumes of.

    Raises:
        InputError: Several and none chosen, or one that is not there.
    """
    return (
        chosen(place, "channel", channels, settings),
        chosen(place, "time_point", time_points, settings),
    )
