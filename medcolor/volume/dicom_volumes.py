"""The volumes among DICOM slices: by series, size and direction, by what was measured, and when.

Fields that tell volumes apart also vary within one (acquisitions while the table moves, trigger
times of slices taken one after the other). So slices are parted only where there is need: several
lie at one place, or they interleave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import isclose

import numpy as np
from jaxtyping import Float, Int

from medcolor.volume.dicom_marks import CHANNEL_MARKS, TIME_MARKS, Value, in_words
from medcolor.volume.dicom_slices import DicomSlice
from medcolor.volume.even_line import even_line
from medcolor.volume.even_stack import DOUBLE_MM

Slices = list[DicomSlice]

_SAME = 1e-3
"""Largest difference of unit vectors of one direction; and of pixels, of their size."""

_ACROSS = 0.1
"""Least difference of unit normals of which one image lies across another: 6 degrees."""

_OVERLAP = 0.5
"""Of the length of a volume: so much of it lies where another of the same series does."""


@dataclass(frozen=True)
class Channel:
    """Slices of one kind of measurement, at one time or several."""

    told: str
    """What distinguishes it, in words; '' of the only one."""

    times: tuple[Slices, ...]
    times_told: str
    """By what the times are told apart; '' of one time."""


@dataclass(frozen=True)
class Stack:
    """Slices of one series, size and direction."""

    series: str
    channels: tuple[Channel, ...]
    beside: str
    """What it is, in the plural, if nobody means it who names no series; else ''."""

    @property
    def first(self) -> DicomSlice:
        """Any of its slices stands for all."""
        return self.channels[0].times[0][0]

    @property
    def count(self) -> int:
        """Of all its slices."""
        return sum(len(slices) for channel in self.channels for slices in channel.times)


def stacks_of(found: Slices) -> list[Stack]:
    """Sort slices into stacks, and these into volumes.

    Returns:
        The stacks by series, those of one in the order of the files. Beside volumes are
        localizers, and single images that lie across the slices of their series or are all of it.
    """
    parts = [
        part
        for uid in sorted({one.series for one in found})
        for part in _alike([one for one in found if one.series == uid])
    ]
    return [Stack(part[0].series, _channels(part), _beside(part, parts)) for part in parts]


def _alike(slices: Slices) -> list[Slices]:
    """Part slices by size and direction."""
    parts: list[Slices] = []
    for one in slices:
        part = next((part for part in parts if _is_alike(part[0], one)), None)
        if part is None:
            parts.append([one])
        else:
            part.append(one)
    return parts


def _is_alike(one: DicomSlice, other: DicomSlice) -> bool:
    directions = (
        (one.row_direction, other.row_direction),
        (one.col_direction, other.col_direction),
    )
    return (
        one.shape == other.shape
        and one.is_localizer == other.is_localizer
        and all(map(partial(isclose, rel_tol=_SAME), one.pixel_mm, other.pixel_mm))
        and all(np.abs(first - second).max() <= _SAME for first, second in directions)
    )


def _beside(part: Slices, parts: Sequence[Slices]) -> str:
    """Return what images are that belong to no volume; '' for all others."""
    first = part[0]
    if first.is_localizer:
        return "localizers"
    others = [other for other in parts if other[0].series == first.series and other is not part]
    is_across = all(
        len(other) > 1 and np.linalg.norm(other[0].normal - first.normal) > _ACROSS
        for other in others
    )
    return "single images" if len(part) == 1 and is_across else ""


def _channels(slices: Slices) -> tuple[Channel, ...]:
    """Part the slices of a stack by what was measured, then by when."""
    groups = [slices]
    for name in CHANNEL_MARKS:
        groups = [part for group in groups for part in _parted(group, name)]
    told = _told(groups, CHANNEL_MARKS)
    return tuple(
        Channel(", ".join(words), *_times(group)) for group, words in zip(groups, told, strict=True)
    )


def _times(slices: Slices) -> tuple[tuple[Slices, ...], str]:
    """Part the slices of a channel by when they were measured, and say by what."""
    groups = [slices]
    for name in TIME_MARKS:
        groups = [
            part
            for group in groups
            for part in (_parted(group, name) if _is_several(group) else [group])
        ]
    if len(groups) > 1:
        first, *_, last = _told(groups, TIME_MARKS)
        return tuple(groups), f"{', '.join(first)} .. {', '.join(last)}" if first else ""
    for name in TIME_MARKS:
        if ranked := _ranked(slices, name):
            return ranked, f"in order of {name.partition(' (')[0]}"
    return (slices,), ""


def _told(groups: Sequence[Slices], names: Iterable[str]) -> list[list[str]]:
    """Return of each group in words what all of its slices have in common and others have not."""
    told: list[list[str]] = [[] for _ in groups]
    for name in names:
        values = [{one.marks.get(name) for one in group} for group in groups]
        if len(set().union(*values)) < 2:
            continue
        for words, own in zip(told, values, strict=True):
            if len(own) == 1:
                every = [value for several in values for value in several]
                words.append(in_words(name, next(iter(own)), every))
    return told


def _parted(slices: Slices, name: str) -> list[Slices]:
    """Part slices by the values of a field, if this leaves fewer at one place.

    Where no two lie at one place, they are parted if each part is an even stack of its own: two
    that interleave.
    """
    by_value: dict[Value, Slices] = {}
    for one in slices:
        by_value.setdefault(one.marks.get(name), []).append(one)
    parts = [by_value[value] for value in sorted(by_value, key=_order)]
    if len(parts) < 2 or not _lie_together(parts):
        return [slices]
    most = _most_at_a_place(slices)
    if most > 1:
        # A field of more values than that varies from slice to slice, too.
        is_better = len(parts) <= most and max(map(_most_at_a_place, parts)) < most
    else:
        is_better = not any(map(_is_several, parts))
    return parts if is_better else [slices]


def _order(value: Value) -> tuple[bool, tuple[float | str | None, ...]]:
    """Sort key of a field; slices that lack it come last."""
    return value is None, value if isinstance(value, tuple) else (value,)


def _ranked(slices: Slices, name: str) -> tuple[Slices, ...]:
    """Part slices by the order in which those of each place were taken; () where it says none.

    In a film of the heart every slice has trigger times of its own.
    """
    places = _places(slices)
    counts = np.bincount(places)
    values = [one.marks.get(name) for one in slices]
    if counts.max() < 2 or counts.min() != counts.max() or None in values:
        return ()
    if len(set(zip(places.tolist(), values, strict=True))) < len(slices):
        return ()
    order = sorted(range(len(slices)), key=lambda at: (places[at], _order(values[at])))
    count = int(counts[0])
    return tuple([slices[at] for at in order[number::count]] for number in range(count))


def _along(slices: Slices) -> Float[np.ndarray, " slice"]:
    """Return places along the normal, in mm."""
    return np.array([one.position for one in slices]) @ slices[0].normal


def _places(slices: Slices) -> Int[np.ndarray, " slice"]:
    """Return the place of each slice, counted from 0; at one place are those nearer than that."""
    along = _along(slices)
    order = np.argsort(along)
    places = np.zeros(len(along), np.int64)
    places[order[1:]] = np.cumsum(np.diff(along[order]) > DOUBLE_MM)
    return places


def _most_at_a_place(slices: Slices) -> int:
    """Return how many slices the fullest place has."""
    return int(np.bincount(_places(slices)).max())


def _is_several(slices: Slices) -> bool:
    """Tell slices that are no even stack."""
    if len(slices) < 2 or _most_at_a_place(slices) > 1:
        return True
    line = even_line(np.sort(_along(slices)))
    return line is None or not line.is_whole


def _lie_together(parts: Sequence[Slices]) -> bool:
    """Tell parts that lie where the longest of them does, and not one behind the other."""
    along = [_along(part) for part in parts]
    lows = np.array([one.min() for one in along])
    ends = np.array([np.ptp(one) for one in along])
    longest = int(ends.argmax())
    common = np.minimum(lows + ends, lows[longest] + ends[longest]) - np.maximum(
        lows, lows[longest]
    )
    return bool((ends > 0).all() and (common >= _OVERLAP * ends).all())
