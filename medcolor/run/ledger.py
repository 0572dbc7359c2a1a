"""What is done, beside the data: a folder of small JSON files next to the volume.

`t1.ome.zarr` keeps its ledger in `t1.ome.zarr.run`: `plan.json` names what decides
the pixels, `done/` holds one marker a slab, written after the slab, with the bytes of its files
and the checksum of its voxels, and the run
writes `metadata.json`, `assignment.parquet`, `body.webp`, `model.npz`, `failures.jsonl` and
`run.json` there.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

from medcolor.errors import InputError, RunError
from medcolor.run.markers import Marker, read_marker
from medcolor.storage import (
    ObjectPath,
    Place,
    create_exclusive,
    delete_made,
    json_bytes,
    read_object,
    write_json,
)
from medcolor.storage.durable import BEING_WRITTEN
from medcolor.volume.files import list_files

_AT_ONCE = 8
ASSIGNMENT = "assignment.parquet"
PLAN = "plan.json"
"""What decides the pixels, written at the beginning."""

RECORD = "run.json"
"""What a run did, written at its end."""

MODEL = "model.npz"
"""The colours of the whole body, by which a lost shard is made again."""

BODY = "body.webp"
"""Slices of the scan with the outline of what was taken for body."""

VOTES = "votes"
"""Folder of what lies between the passes, a folder for each identity in it: a worker of a run that
was forced away may still be writing."""

MATCH = "match"
"""The stage of the second pass. The third writes level 0, and then come the coarser levels."""

COUNT = "count"
"""The stage in which votes are counted again; it leaves no marks."""

STAGED = re.compile(rf"({BEING_WRITTEN})?[0-9a-f]{{16}}.*", re.DOTALL)
"""Keys below a staging folder."""

BETWEEN_PASSES = re.compile(
    rf"[0-9a-f]{{16}}/({BEING_WRITTEN})?(\d+|sums-[0-9a-f]*-\d+|draft-[0-9a-f]+)\.npz"
)
"""Keys below the folder of votes, of whole files and of those being written."""

_METADATA = "metadata.json"
_MARKER = re.compile(r"\w+-slab\d+\.json")
_MADE = re.compile(
    r"(plan|run|cohort|metadata|assignment)\.json|failures\.jsonl|assignment\.parquet"
    rf"|{re.escape(MODEL)}|{re.escape(BODY)}|done/{_MARKER.pattern}|{VOTES}/({BETWEEN_PASSES.pattern})"
    r"|reconstructions/\d+\.npz"  # of versions before the colour model
    r"|(\.index\.building|index)/part-\d+\.parquet"
    rf"|staging/({STAGED.pattern})|(.+/)?\.[^/]+",  # hidden: being written, locks, probes
    re.DOTALL,
)
"""Keys below a ledger's folder."""


def level_stage(level: int) -> str:
    """Return the name of the stage that writes a level."""
    return f"level{level}"


@dataclass(frozen=True)
class Ledger:
    """Knows which slabs of one output are finished under one identity."""

    folder: Place
    identity: str
    """Digest of everything that decides the pixels."""

    @classmethod
    def found(cls, output: Place) -> Ledger | None:
        """Return the ledger that was begun for a volume; None if there is none."""
        folder = cls.folder_of(output)
        plan = read_object(folder / PLAN)
        return None if plan is None else cls(folder, str(plan.get("identity")))

    @staticmethod
    def folder_of(output: Place) -> Place:
        """Return the ledger folder of a volume."""
        return output.with_name(output.name + ".run")

    @classmethod
    def of(cls, output: Place, identity: str) -> Ledger:
        """Return the ledger of a volume, which may not have been begun."""
        return cls(cls.folder_of(output), identity)

    def begin(
        self, output: Place, about: dict[str, str], slabs: dict[str, int], *, force: bool
    ) -> bool:
        """Begin the ledger of `output`, or go on with it; return whether this call began it.

        Args:
            output: The volume.
            about: The parts of the identity, to say which of them differs.
            slabs: How many there are to do, by stage.
            force: Delete what another identity left there; never another program's files.

        Raises:
            InputError: If the output holds something else and `force` is off. The same volume
                whose ledger was lost is begun anew where it lies.
        """
        found = self._plan()
        if found is None and holds_anything(output) and not _tells(output, about):
            raise InputError(
                output, "exists and was not written by medcolor", "Choose another output"
            )
        if found is not None and found.get("identity") == self.identity:
            return False
        if found is not None:
            if not force:
                self._refuse(output, found, about)
            self._clear(output)
        damaged = self.folder / PLAN
        if found is None and damaged.is_file() and self._plan() is None:
            damaged.unlink(missing_ok=True)  # written whole or not at all: it was damaged since
        content = json_bytes({"identity": self.identity, **about, "slabs": slabs})
        if not create_exclusive(self.folder / PLAN, content):
            found = self._plan() or {}
            if found.get("identity") != self.identity:  # another driver was quicker
                self._refuse(output, found, about)
            return False
        return True

    def _refuse(self, output: Place, found: dict[str, Any], about: dict[str, str]) -> NoReturn:
        differing = [key for key, value in about.items() if found.get(key) != value]
        raise InputError(
            output,
            f"begun with other {' and '.join(differing) or 'contents'}, "
            f"{len(_markers(self.folder))} slabs are done",
            "Choose another output, or begin anew with --force",
        )

    def _clear(self, output: Place) -> None:
        """Delete what another identity left: first what says that something of it is done."""
        from medcolor.volume.store import delete_volume, refuse_foreign_volume

        refuse_foreign_volume(output)
        delete_made(self.folder / "done", _MARKER)
        self.reopen()
        delete_volume(output)
        delete_ledger(self.folder)

    def is_ours(self) -> bool:
        """Tell whether this is still the run that writes the output: another may be forced."""
        return (self._plan() or {}).get("identity") == self.identity

    def begun_identity(self) -> str | None:
        """Return the identity of the run that was begun, whichever it is."""
        found = self._plan()
        return None if found is None else str(found.get("identity"))

    def _plan(self) -> dict[str, Any] | None:
        return read_object(self.folder / PLAN)

    def is_done(self, stage: str, number: int) -> bool:
        """Tell whether a slab is finished under this identity."""
        return read_marker(self._marker(stage, number), self.identity) is not None

    def record_metadata(self, digests: Mapping[str, str]) -> None:
        """Record the digests of the volume's metadata, by their keys."""
        if self.metadata() != digests:
            content = {"identity": self.identity, "digests": dict(digests)}
            write_json(self.folder / _METADATA, content)

    def metadata(self) -> dict[str, str]:
        """Return the digests that are recorded of the volume's metadata; none if none are."""
        found = read_object(self.folder / _METADATA) or {}
        digests = found.get("digests") if found.get("identity") == self.identity else None
        return dict(digests) if isinstance(digests, dict) else {}

    def slabs(self) -> dict[str, int]:
        """Return how many slabs there are to do, by stage."""
        return dict((self._plan() or {}).get("slabs", {}))

    def is_assigned(self) -> bool:
        """Tell whether the first pass is through."""
        return (self.folder / ASSIGNMENT).is_file()

    def done(self, stage: str) -> set[int]:
        """Return the numbers of the slabs of a stage that are finished under this identity."""
        return set(self.markers(stage))

    def markers(self, stage: str) -> dict[int, Marker]:
        """Return what is recorded of the finished slabs of a stage, by their numbers.

        Markers are listed first: of many slabs few are done in a run's beginning, and each look
        at one in a bucket takes its time.
        """
        numbers = self._marked(stage)
        places = [self._marker(stage, number) for number in numbers]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda place: read_marker(place, self.identity), places)
            pairs = zip(numbers, found, strict=True)
            return {number: marker for number, marker in pairs if marker is not None}

    def mark_done(
        self, stage: str, number: int, checksum: str, seconds: float, sizes: Mapping[str, int]
    ) -> None:
        """Record a slab, after its data; of two drivers on one output the first one's stays.

        Args:
            stage: As of `SlabTask`.
            number: Of the slab.
            checksum: Of its voxels.
            seconds: That it took its worker.
            sizes: Bytes of its files, by their paths below the volume, or the votes.
        """
        marker = self._marker(stage, number)
        content = Marker(checksum, dict(sizes)).content(self.identity, seconds)
        if not create_exclusive(marker, json_bytes(content)) and not self.is_done(stage, number):
            self.refuse_if_replaced()
            write_json(marker, content)  # of an identity that was forced away, or cut short

    def refuse_if_replaced(self) -> None:
        """Stop working on an output that another run has been forced over.

        Raises:
            RunError: It has.
        """
        if not self.is_ours():
            raise RunError(
                self.folder, "another run has begun here with other settings or inputs", "Stop one"
            )

    def forget(self, stage: str, numbers: Container[int] | None = None) -> None:
        """Take back the marks of a stage, or of some slabs of it, before its data goes."""
        for number in self._marked(stage):
            if numbers is None or number in numbers:
                self._marker(stage, number).unlink(missing_ok=True)

    def is_complete(self) -> bool:
        """Tell whether the run has come to its end, and nothing was struck off since."""
        return bool((read_object(self.folder / RECORD) or {}).get("complete"))

    def reopen(self) -> None:
        """Take back that the run has come to its end."""
        (self.folder / RECORD).unlink(missing_ok=True)

    def _marked(self, stage: str) -> list[int]:
        """Return the numbers of all markers of a stage, of whichever identity."""
        names = (re.fullmatch(rf"{stage}-slab(\d+)", path.stem) for path in _markers(self.folder))
        return [int(found[1]) for found in names if found]

    def _marker(self, stage: str, number: int) -> Place:
        return self.folder / "done" / f"{stage}-slab{number:05d}.json"


def delete_ledger(folder: Place) -> None:
    """Delete a ledger's folder, all of it that is this program's."""
    delete_made(folder, _MADE)


def _markers(folder: Place) -> list[Place]:
    """Return the markers of all stages."""
    done = folder / "done"
    files = list_files(done) if done.is_dir() else []
    return [path for path in files if _MARKER.fullmatch(path.name)]


def _tells(output: Place, about: dict[str, str]) -> bool:
    """Tell whether the output is the same volume, whose ledger was lost: it is made good."""
    from medcolor.volume.store import read_about

    try:
        return bool(about) and read_about(output).provenance == about
    except (OSError, ValueError, KeyError, InputError):
        return False


def holds_anything(output: Place) -> bool:
    """Tell whether something lies where the volume is to go."""
    if isinstance(output, ObjectPath):
        return output.exists()
    return output.exists() and (not output.is_dir() or any(output.iterdir()))
