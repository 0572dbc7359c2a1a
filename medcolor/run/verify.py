"""`medcolor verify`: every byte of a volume against its checksums.

Each chunk and each index of a shard carries a crc32c, and the ledger has a digest of the voxels.
What is damaged is struck off the ledger: the command that made the volume then makes it again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.run.integrity import UNFINISHED, Inventory, take_inventory
from medcolor.run.ledger import MODEL, RECORD, Ledger, level_stage
from medcolor.run.model_file import is_whole_model
from medcolor.run.volumes import cohort_names
from medcolor.storage import Place, read_object
from medcolor.volume.shards import LostShardError, Shard, StoredLevel, checksum_of
from medcolor.volume.store import metadata_digests, read_levels, read_slices

_AT_ONCE = 4
"""Shards read at a time: what bounds the memory."""

_AGAIN = "Run the command that made it again: it makes good what is damaged, and keeps the rest"
_ALL_AGAIN = "No ledger (.run) lies beside it: the command that made it makes all of it anew"
_GO_ON = "Its run has not come to its end: the command that began it goes on"
_NO_MODEL = f"{MODEL} is damaged or gone: if a shard is lost, all slices are matched again"
_MAY_CHANGE = "verify it as somebody who may, or its command will keep what is damaged"


@dataclass(frozen=True)
class Verified:
    """What a look at every byte of a volume found."""

    volume: Place
    shards: int = 0
    damaged: tuple[tuple[Shard, str], ...] = ()
    """And what is wrong with each."""

    unfinished: int = 0
    """Shards that its run has not come to."""

    problems: tuple[str, ...] = ()
    """What is wrong beside that, and what to do about all of it: a line each."""

    notes: tuple[str, ...] = ()
    """What the volume can do without."""

    megabytes: float = 0.0
    """Of voxels that were read."""

    seconds: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.damaged or self.unfinished or self.problems)

    def __str__(self) -> str:
        """Return one line, and one for each shard that is damaged."""
        speed = self.megabytes / max(self.seconds, 1e-9)
        read = f"{self.megabytes:.1f} MB of voxels in {self.seconds:.1f} s, {speed:.0f} MB/s"
        state = "whole" if self.is_whole else f"{len(self.damaged)} damaged"
        left = f", {self.unfinished} not finished" if self.unfinished else ""
        lines = [f"{self.volume}: {self.shards} shards, {state}{left} ({read})"]
        lines += [f"  {shard}: {problem}" for shard, problem in self.damaged]
        return "\n".join([*lines, *(f"  {line}" for line in (*self.problems, *self.notes))])

    def as_json(self) -> dict[str, object]:
        """Return all of it."""
        return {
            "volume": self.volume.name,
            "is_whole": self.is_whole,
            "shards": self.shards,
            "unfinished": self.unfinished,
            "damaged": [
                {
                    "level": shard.level,
                    "slices": [shard.slices.start, shard.slices.stop],
                    "file": shard.key,
                    "problem": problem,
                }
                for shard, problem in self.damaged
            ],
            "problems": list(self.problems),
            "notes": list(self.notes),
            "megabytes": round(self.megabytes, 1),
            "seconds": round(self.seconds, 3),
        }


def verify(place: Place, progress: ProgressReport) -> list[Verified]:
    """Read every shard of a volume, or of all volumes of a cohort's folder, and check it.

    What is damaged is struck off the ledgers.

    Raises:
        InputError: No coloured volume.
    """
    names = cohort_names(place)
    if not names:
        return [_verify(place, progress)]
    return [_verify_of_many(place / name, progress) for name in names]


def _verify_of_many(volume: Place, progress: ProgressReport) -> Verified:
    try:
        return _verify(volume, progress)
    except InputError as error:  # holds no other up
        return Verified(volume, problems=(str(error),))


def _verify(volume: Place, progress: ProgressReport) -> Verified:
    begin = time.perf_counter()
    try:
        inventory = take_inventory(volume)
    except InputError:
        ledger = Ledger.found(volume)
        if ledger is None:
            raise
        problems = ["its metadata are damaged or gone", *_remedies(ledger, {})]
        return Verified(volume, problems=tuple(problems))
    progress.begin("verify", len(inventory.shards))

    def look(shard: Shard) -> tuple[str, int]:
        found = _look(volume, shard, inventory)
        progress.advance(1)
        return found

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looks = dict(zip(inventory.shards, pool.map(look, inventory.shards), strict=True))
    problems, notes = _problems(volume, inventory.ledger), _notes(inventory.ledger)
    wrong = {shard: problem for shard, (problem, _) in looks.items() if problem}
    damaged = {shard: problem for shard, problem in wrong.items() if problem != UNFINISHED}
    if damaged or problems:
        remedies = _remedies(inventory.ledger, damaged)
    else:
        remedies = [_GO_ON] if wrong else []
    return Verified(
        volume,
        len(inventory.shards),
        tuple(damaged.items()),
        len(wrong) - len(damaged),
        (*problems, *remedies),
        notes,
        sum(size for _, size in looks.values()) / 1e6,
        time.perf_counter() - begin,
    )


def _problems(volume: Place, ledger: Ledger | None) -> list[str]:
    """Return what is wrong with the metadata of a volume that can be read all the same."""
    levels = read_levels(volume)
    recorded = {} if ledger is None else ledger.metadata()
    found = metadata_digests(volume, levels)
    others = [key for key, digest in recorded.items() if found.get(key) != digest]
    bare = [one.index for one in levels if not StoredLevel(volume, one.index).has_checksums]
    return [
        *(f"{key} is not as it was written" for key in others),
        *(f"level {index}: its chunks carry no checksums" for index in bare),
    ]


def _notes(ledger: Ledger | None) -> tuple[str, ...]:
    """Tell whether the colour model of a finished volume is not as it was written."""
    record = None if ledger is None else read_object(ledger.folder / RECORD)
    if ledger is None or not record or not record.get("complete"):
        return ()
    look = record["settings"].get("transfer", {}).get("look", "paper")  # older versions had none
    if look == "paper" or is_whole_model(ledger.folder / MODEL, ledger.identity):
        return ()
    return (_NO_MODEL,)


def _look(volume: Place, shard: Shard, inventory: Inventory) -> tuple[str, int]:
    """Return what is wrong with a shard, if anything, and the bytes of voxels it gave."""
    if shard in inventory.lost:
        return inventory.lost[shard], 0
    try:
        rgba = read_slices(volume, shard.level, shard.slices)
    except LostShardError:
        return f"{shard.key} is damaged: its checksums do not fit", 0
    marker = inventory.markers.get(shard)
    if marker is not None and checksum_of(rgba) != marker.checksum:
        return f"{shard.key} holds other voxels than were written", rgba.nbytes
    return "", rgba.nbytes


def _remedies(ledger: Ledger | None, damaged: Mapping[Shard, str]) -> list[str]:
    """Strike what is damaged off the ledger; return what there is to do."""
    if ledger is None:
        return [_ALL_AGAIN]
    try:
        ledger.reopen()
        for stage in {level_stage(shard.level) for shard in damaged}:
            ledger.forget(stage, {one.number for one in damaged if level_stage(one.level) == stage})
    except OSError as error:
        return [f"{ledger.folder} cannot be changed ({error.strerror}): {_MAY_CHANGE}"]
    return [_AGAIN]
