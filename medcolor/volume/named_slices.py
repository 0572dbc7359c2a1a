"""Channels and time points that the names of slices in a folder tell apart.

Microscopes, ImageJ and Bio-Formats write a file a plane, under names such as `scan_t02_c1_z017`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from medcolor.volume.choice import chosen_volume
from medcolor.volume.settings import VolumeSettings

_CHANNEL = re.compile(r"(?<![a-z])(?:channel|chan|ch|c)[-_]?(\d+)", re.IGNORECASE)
_TIME = re.compile(r"(?<![a-z])(?:time|t)[-_]?(\d+)", re.IGNORECASE)


def one_volume(
    folder: Path, files: list[Path], settings: VolumeSettings, channels: int
) -> tuple[list[Path], int]:
    """Return the files of the chosen channel and time point, and the channel within each file.

    Names tell volumes apart only if every one of these has the same slices, at least two.

    Args:
        folder: What errors name.
        files: In natural order.
        settings: `channel` and `time_point`.
        channels: Within each file; if there are several, names tell of time points alone.

    Raises:
        InputError: Several volumes and none chosen, or one that is not there.
    """
    groups: dict[tuple[int, int], dict[str, Path]] = defaultdict(dict)
    for path in files:
        number, rest = (-1, path.stem) if channels > 1 else _taken(_CHANNEL, path.stem)
        time, rest = _taken(_TIME, rest)
        groups[number, time][rest] = path
    numbers, times = (sorted({key[axis] for key in groups}) for axis in range(2))
    slices = {frozenset(group) for group in groups.values()}
    is_grid = len(groups) == len(numbers) * len(times) and len(slices) == 1
    # Names that differ by more than this, or of two files alike, tell nothing.
    is_told = is_grid and len(files) == sum(map(len, groups.values())) >= 2 * len(groups)
    if not is_told:
        return files, chosen_volume(folder, settings, channels=channels)[0]
    channel, time_point = chosen_volume(
        folder, settings, channels=channels * len(numbers), time_points=len(times)
    )
    number = numbers[channel if channels == 1 else 0]
    wanted = {*groups[number, times[time_point]].values()}
    return [path for path in files if path in wanted], channel if channels > 1 else 0


def _taken(pattern: re.Pattern[str], name: str) -> tuple[int, str]:
    """Return the number that a pattern finds in a name, and the name without it."""
    found = pattern.search(name)
    if found is None:
        return -1, name
    return int(found[1]), name[: found.start()] + name[found.end() :]
