"""Whether what lies on the disk is what the ledger recorded: files there, and their bytes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medcolor.errors import InputError
from medcolor.run.ledger import MATCH, Ledger, level_stage
from medcolor.run.markers import Marker
from medcolor.storage import Place, list_sizes
from medcolor.volume.shards import AGAIN, Shard, StoredLevel
from medcolor.volume.store import read_levels

if TYPE_CHECKING:
    from medcolor.run.plan import Plan

_log = logging.getLogger(__name__)

UNFINISHED = "not finished by any run"
"""What is wrong with a shard that the ledger of a run does not record before its end."""


def forget_lost(plan: Plan) -> None:
    """Take back the marks of slabs whose files are gone, or of other sizes than were written."""
    stages = [level_stage(level.index) for level in plan.levels]
    # Markers before files: a file is written before its marker.
    marked = {stage: plan.ledger.markers(stage) for stage in (MATCH, *stages)}
    there = list_sizes(plan.output) if any(marked[stage] for stage in stages) else {}
    made = list_sizes(plan.votes) if marked[MATCH] else {}
    for stage, markers in marked.items():
        lost = _lost(markers, made if stage == MATCH else there)
        if lost:
            _log.warning("%s: %s; made again", stage, _told(lost), extra={"stage": stage})
            plan.ledger.reopen()
            plan.ledger.forget(stage, lost)


@dataclass(frozen=True)
class Inventory:
    """The shards that a volume is to have, and what is known of them without reading one."""

    ledger: Ledger | None
    """None if there is none beside the volume: then there are no sizes to compare."""

    shards: tuple[Shard, ...]
    markers: dict[Shard, Marker]
    """What the ledger recorded of those that are finished."""

    lost: dict[Shard, str]
    """Those that are absent, empty, or not of the size that was recorded, and why."""


def take_inventory(volume: Place) -> Inventory:
    """List what lies there of a volume, and compare it with what is to be.

    Raises:
        InputError: No coloured volume.
    """
    ledger = Ledger.found(volume)
    levels = [StoredLevel(volume, level.index).shards() for level in read_levels(volume)]
    shards = tuple(shard for level in levels for shard in level)
    markers: dict[Shard, Marker] = {}
    if ledger is not None:
        for level, of_level in enumerate(levels):
            found = ledger.markers(level_stage(level))
            markers |= {one: found[one.number] for one in of_level if one.number in found}
    is_open = ledger is not None and not ledger.is_complete()
    there = list_sizes(volume)  # after the markers: a file is written before its marker
    lost: dict[Shard, str] = {}
    for shard in shards:
        marker = markers.get(shard)
        if marker is None and is_open:
            lost[shard] = UNFINISHED
        elif problem := _difference(marker.sizes if marker else {shard.key: None}, there):
            lost[shard] = problem
    return Inventory(ledger, shards, markers, lost)


def is_whole(volume: Place) -> bool:
    """Tell whether a volume lies there as its ledger says; no shard of it is read."""
    ledger = Ledger.found(volume)
    if ledger is None:
        return False
    stages = {stage: count for stage, count in ledger.slabs().items() if stage != MATCH}
    marked = {stage: ledger.markers(stage) for stage in stages}
    there = list_sizes(volume)
    if any(len(marked[stage]) != count for stage, count in stages.items()):
        return False
    return not any(_lost(markers, there) for markers in marked.values()) and _is_readable(volume)


def _is_readable(volume: Place) -> bool:
    try:
        return bool(read_levels(volume))
    except InputError:
        return False


def refuse_unfinished(volume: Place) -> None:
    """Refuse a volume whose run has not come to its end, or that has lost a shard since.

    Without a ledger beside it no run is known, and a shard that is there counts.

    Raises:
        InputError: Slabs are missing.
    """
    ledger = Ledger.found(volume)
    if ledger is not None and not ledger.is_complete():
        raise InputError(
            volume, "its run has not come to its end", "Run medcolor colorize again: it goes on"
        )
    lost = {one: f"{one}: {problem}" for one, problem in take_inventory(volume).lost.items()}
    if lost:
        raise InputError(volume, _told(lost), AGAIN)


def _lost(markers: Mapping[int, Marker], there: Mapping[str, int]) -> dict[int, str]:
    """Return the finished slabs whose files are not as recorded, and what is wrong with them."""
    found = {number: _difference(marker.sizes, there) for number, marker in markers.items()}
    return {number: problem for number, problem in found.items() if problem}


def _difference(recorded: Mapping[str, int | None], there: Mapping[str, int]) -> str:
    """Return what is wrong with the first file that is not as recorded; nothing if all are."""
    for name, size in recorded.items():
        found = there.get(name)
        if not found:
            return f"{name} is {'gone' if found is None else 'empty'}"
        if size is not None and found != size:
            return f"{name} has {found} bytes, {size} were written"
    return ""


def _told(lost: Mapping[Any, str]) -> str:
    """Return the first problem, and how many more there are."""
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"{next(iter(lost.values()))}{more}"
