"""How far a run is, read from what lies beside its volume: from any machine, at any time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from medcolor.errors import InputError, printable
from medcolor.run.ledger import MATCH, MODEL, PLAN, RECORD, Ledger
from medcolor.storage import ObjectPath, Place, read_object
from medcolor.volume.files import list_files

_LEDGER = ".ome.zarr.run"


@dataclass(frozen=True)
class RunStatus:
    """How far one volume is."""

    volume: str
    is_complete: bool
    slabs: dict[str, tuple[int, int]]
    """Done and all, by stage."""

    failures: tuple[str, ...]
    """Of the last run that came to its end: what was given up, one line each."""

    def __str__(self) -> str:
        """Return one line, and one for each failure."""
        parts = ", ".join(f"{stage} {done}/{count}" for stage, (done, count) in self.slabs.items())
        state = "complete" if self.is_complete else f"{self.share:.0%}"
        failed = [f"  failed: {problem}" for problem in self.failures]
        return "\n".join(map(printable, [f"{self.volume}: {state} ({parts})", *failed]))

    @property
    def share(self) -> float:
        """Done of all slabs, 0..1."""
        done, count = (sum(one[number] for one in self.slabs.values()) for number in (0, 1))
        return done / count if count else 0.0

    def as_json(self) -> dict[str, object]:
        """Return all of it."""
        return asdict(self)


def read_status(place: Place) -> list[RunStatus]:
    """Return how far a volume is, or every volume of a cohort's folder.

    Raises:
        InputError: No run was ever begun there.
    """
    ledgers = [Ledger.folder_of(place)]
    if read_object(ledgers[0] / PLAN) is None:
        ledgers = _ledgers_below(place)
    found = [status for one in ledgers if (status := _status(one)) is not None]
    if not found:
        raise InputError(
            place, "no run was begun there", "Give the volume a run writes, or a cohort"
        )
    return found


def _ledgers_below(folder: Place) -> list[Place]:
    """Return the ledgers of the volumes of a folder."""
    if isinstance(folder, ObjectPath):
        names = {key.partition("/")[0] for key, _ in folder.walk()}
        return [folder / name for name in sorted(names) if name.endswith(_LEDGER)]
    return [*sorted(folder.glob(f"*{_LEDGER}"))] if folder.is_dir() else []


def _status(ledger: Place) -> RunStatus | None:
    plan = read_object(ledger / PLAN)
    if plan is None:
        return None
    counts: dict[str, int] = plan.get("slabs", {})
    record = read_object(ledger / RECORD) or {}
    is_complete = bool(record.get("complete")) and record.get("identity") == plan.get("identity")
    is_matched = is_complete or (ledger / MODEL).is_file()  # by it a lost shard is made again
    done = ledger / "done"
    names = [one.stem for one in list_files(done)] if done.is_dir() else []
    slabs = {}
    for stage in sorted(counts, key=lambda name: (name != MATCH, len(name), name)):
        count = counts[stage]
        marked = sum(name.startswith(f"{stage}-slab") for name in names)
        slabs[stage] = (count if stage == MATCH and is_matched else marked), count
    failures = ledger / "failures.jsonl"
    lines = failures.read_text().splitlines() if failures.is_file() else []
    problems = tuple(_spoken(json.loads(line)) for line in lines)
    return RunStatus(ledger.name.removesuffix(".run"), is_complete, slabs, problems)


def _spoken(failure: dict[str, dict[str, object]]) -> str:
    task = failure["task"]
    return f"{task['stage']}, slices {task['start']} to {task['stop']}: {failure['problem']}"
