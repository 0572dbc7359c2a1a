"""Which volume of DICOM slices is meant: the only one, or what the settings choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from medcolor.errors import InputError
from medcolor.volume.dicom_volumes import Channel, Slices, Stack, stacks_of
from medcolor.volume.settings import VolumeSettings

_MOST_LISTED = 20


class Volume(NamedTuple):
    """A volume by the numbers that settings choose it by."""

    series: int
    """Counted from 1."""

    channel: int
    time_point: int


def choose_volume(path: Path, found: Slices, settings: VolumeSettings) -> tuple[Slices, list[str]]:
    """Return the slices of the one volume, or of the one that was chosen.

    Args:
        path: What errors name.
        found: Slices of any number of volumes, at least one.
        settings: `series`, `channel` and `time_point` choose.

    Returns:
        The slices, and in words what belongs to no volume and was left out.

    Raises:
        InputError: Several and none chosen, or one that is not there: all are listed, with the
            settings that choose one.
    """
    stacks = stacks_of(found)
    volumes = dict(_volumes(stacks))
    fitting, is_there = _fitting(stacks, [*volumes], settings)
    kept = [one for one in fitting if not stacks[one.series - 1].beside] or fitting
    if len(kept) > 1 or not is_there:
        raise _several(path, stacks, kept, settings, is_there=is_there)
    left_out = _left_out(
        stacks[one - 1] for one in {one.series for one in fitting if one not in kept}
    )
    return volumes[kept[0]], left_out


def _volumes(stacks: list[Stack]) -> Iterator[tuple[Volume, Slices]]:
    for series, stack in enumerate(stacks, 1):
        for number, channel in enumerate(stack.channels):
            for time, slices in enumerate(channel.times):
                yield Volume(series, number, time), slices


def _left_out(stacks: Iterable[Stack]) -> list[str]:
    """Say how many images belong to no volume."""
    counts: Counter[str] = Counter()
    for stack in stacks:
        counts[stack.beside] += stack.count
    return [f"{count} {what} left out" for what, count in sorted(counts.items())]


def _fitting(
    stacks: list[Stack], volumes: list[Volume], settings: VolumeSettings
) -> tuple[list[Volume], bool]:
    """Return the volumes that fit the settings, as far as any fit; and whether all is fitted."""
    for at, wanted in enumerate((settings.series, settings.channel, settings.time_point)):
        by_uid = [one for one in volumes if at == 0 and stacks[one.series - 1].series == wanted]
        fitting = by_uid or [one for one in volumes if wanted in (None, one[at], str(one[at]))]
        if not fitting:
            return volumes, False
        volumes = fitting
    return volumes, True


def _several(
    path: Path,
    stacks: list[Stack],
    volumes: list[Volume],
    settings: VolumeSettings,
    *,
    is_there: bool,
) -> InputError:
    """Say which volumes there are, and how to choose the first."""
    numbers = sorted({one.series for one in volumes})
    _refuse_odd_one([stacks[number - 1] for number in numbers])
    missing = "" if is_there else ", not the chosen one"
    found = f"{_counted(stacks, volumes)}{missing} ({_listed(stacks, numbers)})"
    return InputError(path, found, f"Choose one: {_remedy(stacks, volumes, settings)}")


def _counted(stacks: list[Stack], volumes: list[Volume]) -> str:
    """Count what is to be chosen from, by the first word that distinguishes it."""
    series = len({one.series for one in volumes})
    if series > 1:
        uids = len({stacks[one.series - 1].series for one in volumes})
        return f"{series} series" if uids == series else f"{series} stacks of {uids} series"
    channels = len({one.channel for one in volumes})
    if channels > 1:
        return f"{channels} channels"
    return f"{len(volumes)} time point{'s' if len(volumes) > 1 else ''}"


def _listed(stacks: list[Stack], numbers: list[int]) -> str:
    """List the channels of stacks, each with its times."""
    lines = [
        f"{head}{_described(stack, channel)}"
        for number in numbers
        for stack in [stacks[number - 1]]
        for at, channel in enumerate(stack.channels)
        for head in [_numbered(number, at, stack, is_alone=len(numbers) == 1)]
    ]
    more = len(lines) - _MOST_LISTED
    return "; ".join(lines[:_MOST_LISTED]) + (f"; and {more} more" if more > 0 else "")


def _numbered(series: int, channel: int, stack: Stack, *, is_alone: bool) -> str:
    """Return the numbers by which a channel is chosen."""
    if is_alone:
        return f"{channel}: "
    return f"{series}: " + (f"channel {channel}, " if len(stack.channels) > 1 else "")


def _described(stack: Stack, channel: Channel) -> str:
    """Describe a channel by what its slices are, what distinguishes it, and its times."""
    rows, cols = stack.first.shape
    words = [stack.first.modality or "no modality", channel.told]
    words.append(f"{len(channel.times[0])} slices of {cols} x {rows}")
    if len(channel.times) > 1:
        told = f" ({channel.times_told})" if channel.times_told else ""
        words.append(f"time points 0 to {len(channel.times) - 1}{told}")
    return ", ".join(filter(None, words))


def _remedy(stacks: list[Stack], volumes: list[Volume], settings: VolumeSettings) -> str:
    """Return settings that, beside those that are there already, leave the first volume alone."""
    target, rest, wanted = volumes[0], volumes, []
    for at, key in enumerate(("series", "channel", "time_point")):
        given = getattr(settings, key)
        is_open = len({one[at] for one in rest}) > 1
        named = stacks[target.series - 1].series if at == 0 and not is_open else None
        if given not in (None, target[at], str(target[at]), named) or (given is None and is_open):
            wanted.append(f"--set volume.{key}={target[at]}")
        rest = [one for one in rest if one[at] == target[at]]
    return " ".join(wanted)


def _refuse_odd_one(stacks: list[Stack]) -> None:
    """Refuse a series with a single slice of another size or direction."""
    odd = next((stack for stack in (*stacks[1:], stacks[0]) if stack.count == 1), None)
    if odd is None or len(stacks) < 2 or len({stack.series for stack in stacks}) > 1:
        return
    one = odd.first
    first = next(stack for stack in stacks if stack is not odd).first
    raise InputError(
        one.path,
        f"{one.shape[1]} x {one.shape[0]} pixels of {one.pixel_mm[1]:g} x {one.pixel_mm[0]:g} mm, "
        f"another of the series is {first.shape[1]} x {first.shape[0]} of {first.pixel_mm[1]:g} x "
        f"{first.pixel_mm[0]:g} mm, or their directions differ",
        "Keep slices of one size and direction",
    )
