"""What is done, beside the data: a folder of small JSON files next to the volume.

`t1.ome.zarr` keeps its ledger in `t1.ome.zarr.run`: `plan.json` names what decides
the pixels, `done/` holds one marker a slab, written after the slab, and the run
writes `assignment.parquet`, `failures.jsonl` and `run.json` there.
"""

from __future__ import annotations

import re
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

from medcolor.errors import InputError, RunError
from medcolor.storage import (
    ObjectPath,
    Place,
    create_whole,
    delete_made,
    json_bytes,
    read_object,
    write_json,
)
from medcolor.volume.files import list_files

_AT_ONCE = 8
ASSIGNMENT = "assignment.parquet"
MATCH = "match"
"""The stage of the second pass. The third writes level 0, and then come the coarser levels."""

STAGED = re.compile(r"[0-9a-f]{16}.*", re.DOTALL)
"""Keys below a staging folder."""

_MARKER = re.compile(r"\w+-slab\d+\.json")
_MADE = re.compile(
    rf"(plan|run|cohort)\.json|failures\.jsonl|assignment\.parquet|done/{_MARKER.pattern}"
    r"|reconstructions/\d+\.npz|(\.index\.building|index)/part-\d+\.parquet"
    rf"|staging/{STAGED.pattern}|(.+/)?\.[^/]+",  # hidden: being written, locks, probes
    re.DOTALL,
)
"""Keys below a ledger's folder."""


@dataclass(frozen=True)
class Ledger:
    """Knows which slabs of one output are finished under one identity."""

    folder: Place
    identity: str
    """Digest of everything that decides the pixels."""

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
        damaged = self.folder / "plan.json"
        if found is None and damaged.is_file() and self._plan() is None:
            damaged.unlink(missing_ok=True)  # written whole or not at all: it was damaged since
        content = json_bytes({"identity": self.identity, **about, "slabs": slabs})
        if not create_whole(self.folder / "plan.json", content):
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
        (self.folder / "run.json").unlink(missing_ok=True)
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
        return read_object(self.folder / "plan.json")

    def is_done(self, stage: str, number: int) -> bool:
        """Tell whether a slab is finished under this identity."""
        marker = read_object(self._marker(stage, number))
        return marker is not None and marker.get("identity") == self.identity

    def is_assigned(self) -> bool:
        """Tell whether the first pass is through."""
        return (self.folder / ASSIGNMENT).is_file()

    def done(self, stage: str) -> set[int]:
        """Return the numbers of the slabs of a stage that are finished under this identity.

        Markers are listed first: of many slabs few are done in a run's beginning, and each look
        at one in a bucket takes its time.
        """
        beginning = f"{stage}-slab"
        numbers = [
            int(marker.stem.removeprefix(beginning))
            for marker in _markers(self.folder)
            if marker.name.startswith(beginning)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda number: self.is_done(stage, number), numbers)
            return {number for number, is_done in zip(numbers, found, strict=True) if is_done}

    def mark_done(self, stage: str, number: int, checksum: str, seconds: float) -> None:
        """Record a slab, after its data; of two drivers on one output the first one's stays.

        Args:
            stage: As of `SlabTask`.
            number: Of the slab.
            checksum: Of its voxels.
            seconds: That it took its worker.
        """
        marker = self._marker(stage, number)
        content = {
            "identity": self.identity, "checksum": checksum, "seconds": round(seconds, 3)
        }  # fmt: skip
        if not create_whole(marker, json_bytes(content)) and not self.is_done(stage, number):
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
        beginning = f"{stage}-slab"
        for marker in _markers(self.folder):
            if marker.name.startswith(beginning):
                number = int(marker.stem.removeprefix(beginning))
                if numbers is None or number in numbers:
                    marker.unlink(missing_ok=True)

    def _marker(self, stage: str, number: int) -> Place:
        return self.folder / "done" / f"{stage}-slab{number:05d}.json"


def delete_ledger(folder: Place) -> None:
    """Delete a ledger's folder, all of it that is this program's."""
    delete_made(folder, _MADE)


def refuse_unfinished(volume: Place) -> None:
    """Refuse a volume whose run has not come to its end; without a ledger beside it, none is known.

    Raises:
        InputError: Slabs are missing.
    """
    folder = Ledger.folder_of(volume)
    if read_object(folder / "plan.json") is None:
        return
    record = read_object(folder / "run.json")
    if record is None or not record.get("complete"):
        raise InputError(
            volume, "its run has not come to its end", "Run medcolor colorize again: it goes on"
        )


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
