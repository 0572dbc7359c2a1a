"""`--plan`: what a run will take, before it is paid for.

Time is not guessed but tried: one worker of the runner colours some slices, and throws them away.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8

from medcolor.colorize import vote_on_slices
from medcolor.config import RunSettings
from medcolor.domain import ReferenceSlice, SliceVotes, TargetSlice
from medcolor.errors import EmptyFrameError, InputError, RunError
from medcolor.features.extract import describe
from medcolor.gpu import on_device
from medcolor.pair_limit import PairLimit, pairs_at_once
from medcolor.prepared import PreparedReference, described_picture, prepare_references
from medcolor.reference.library import ReferenceRecord, list_references, load_reference
from medcolor.retrieval.index import read_index
from medcolor.run.fit import fit_bytes
from medcolor.run.index import refuse_changed_photographs
from medcolor.run.index_copies import is_index_place, local_index
from medcolor.run.ledger import MATCH
from medcolor.run.look import look_at
from medcolor.run.plan import Plan, resolve_hardware
from medcolor.run.slabs import all_tasks, count_slabs, model_of, open_tasks
from medcolor.run.tasks import Failed, Runner
from medcolor.run.threads import map_slices
from medcolor.run.votes_files import bytes_of_votes
from medcolor.stopwatch import Stopwatch
from medcolor.storage import Place
from medcolor.transfer.ballot import count_votes, learn_from_slice
from medcolor.transfer.looks import color_slice, needs_votes
from medcolor.transfer.model import ColorModel

_MB = 1 << 20
_MOST_TRIED = 8
"""Photographs that are looked at for one that shows a body."""

_RUNS_TRIED = 4
"""Of slices that a GPU matches together."""


@dataclass(frozen=True)
class Estimate:
    """What a run takes."""

    slices: int
    shape_zyx: tuple[int, int, int]
    values: str
    """What those of the scan are taken for, in words."""

    slabs: dict[str, int]
    """By stage; a slab is a shard of the volume."""

    done: dict[str, int]
    """Of them, finished by an earlier run."""

    workers: int
    threads: int
    """Of one worker."""

    device: str
    seconds_left: float
    is_other: bool
    """Whether the output was begun with other settings or inputs: it needs --force."""

    host_mb: int
    """Memory of one worker at its most."""

    gpu_mb: int
    fit_mb: int
    """Memory of the driver for the colour model, beside its own; 0 if none is to be fitted."""

    output_mb: int
    """On disk, compressed."""

    voxels_mb: int
    """The same, uncompressed, all levels."""

    votes_mb: int
    """On disk beside the output from matching to the end; 0 if nothing is to be matched."""

    def __str__(self) -> str:
        """Return it as a few lines."""
        z, y, x = self.shape_zyx
        slabs = ", ".join(f"{n} {stage}" for stage, n in self.slabs.items())
        done = ", ".join(f"{n} {stage}" for stage, n in self.done.items() if n) or "none"
        gpu = f", {self.gpu_mb} MB of a GPU" if self.gpu_mb else ""
        fit = f", {self.fit_mb} MB of the driver for the colour model" if self.fit_mb else ""
        return "\n".join(
            [
                f"scan      {z} slices of {y} x {x}",
                f"values    {self.values}",
                f"slabs     {slabs}",
                f"done      {done}{' of another run: it needs --force' if self.is_other else ''}",
                f"workers   {self.workers} on {self.device}, {self.threads} threads each",
                f"time      about {_spoken(self.seconds_left)}",
                f"memory    {self.host_mb} MB a worker{gpu}{fit}",
                f"output    about {self.output_mb} MB ({self.voxels_mb} MB uncompressed)",
                f"votes     about {self.votes_mb} MB beside it while the run lasts",
            ]
        )

    def as_json(self) -> dict[str, object]:
        """Return all of it."""
        return asdict(self)


@dataclass(frozen=True)
class Tried:
    """What a worker found out."""

    slice_s: float
    """Wall seconds a slice, with all threads at work."""

    color_share: float
    """Of that, by the pass that colours."""

    description_s: float
    """Of a slice or photograph, one thread."""

    preparation_s: float
    """Of a photograph to be matched, one thread."""

    compressed: float
    """Share that is left of the voxels."""

    votes_bytes: float
    """Of a slice, on disk."""

    host_bytes: int
    gpu_bytes: int


def estimate(
    target: Place, references: Place, output: Place, settings: RunSettings, runner: Runner
) -> Estimate:
    """Look at the inputs and try a few slices; nothing is left behind.

    Raises:
        InputError: Unusable input.
        RunError: No worker could try.
    """
    settings = resolve_hardware(settings, runner)
    with tempfile.TemporaryDirectory() as folder:
        plan = look_at(target, references, output, settings, runner, Path(folder)).plan
        records = _records(references, settings)
        (outcome,) = runner.run(lambda: TrySlices(plan, records), ["a few slices"])
    if isinstance(outcome, Failed):
        raise outcome.error or RunError(target, outcome.problem, "Try without --plan")
    return _add_up(plan, outcome.report, len(records), is_index_place(references), runner)


def _add_up(
    plan: Plan, tried: Tried, photographs: int, is_indexed: bool, runner: Runner
) -> Estimate:
    slabs, level = count_slabs(plan), plan.levels[0]
    done = {stage: len(plan.ledger.done(stage)) for stage in slabs}
    begun = plan.ledger.begun_identity()
    is_assigned = begun == plan.ledger.identity and plan.ledger.is_assigned()
    to_color = len(open_tasks(plan, 0))
    model = model_of(plan)
    learns = plan.uses_model and model is None
    to_match = _count_to_match(plan, model)
    described = 0 if is_assigned else level.shape[0] + (0 if is_indexed else photographs)
    hands = runner.workers * plan.threads
    # Of few slabs some workers have none.
    slab_s = plan.settings.store.slab_slices * tried.slice_s / max(1, min(runner.workers, to_color))
    seconds = (
        to_match * slab_s * (1 - tried.color_share)
        + to_color * slab_s * tried.color_share
        + described * tried.description_s / hands
        + (min(photographs, level.shape[0]) * tried.preparation_s / hands if to_match else 0.0)
    )
    voxels = sum(4 * int(np.prod(one.shape)) for one in plan.levels)
    slab_bytes = 4 * int(np.prod(level.shape[1:])) * plan.settings.store.slab_slices
    kept_mb = plan.settings.compute.reference_memory_mb  # of photographs, where they are matched
    on_gpu = plan.settings.compute.device == "cuda"
    return Estimate(
        slices=level.shape[0],
        shape_zyx=level.shape,
        values=str(plan.window),
        slabs=slabs,
        done=done,
        workers=runner.workers,
        threads=plan.threads,
        device=plan.settings.compute.device,
        seconds_left=round(seconds, 1),
        is_other=begun not in (None, plan.ledger.identity),
        host_mb=(tried.host_bytes + 2 * slab_bytes) // _MB + (0 if on_gpu else kept_mb),
        gpu_mb=tried.gpu_bytes // _MB + (kept_mb if on_gpu else 0),
        fit_mb=fit_bytes(plan) // _MB if to_color and learns else 0,
        output_mb=round(tried.compressed * voxels / _MB),
        voxels_mb=round(voxels / _MB),
        votes_mb=round(level.shape[0] * tried.votes_bytes / _MB) if to_match else 0,
    )


def _count_to_match(plan: Plan, model: ColorModel | None) -> int:
    """Return how many slabs are to be matched: for a model all, with one often none."""
    needed = open_tasks(plan, 0)
    if needed and plan.uses_model and model is None:
        needed = all_tasks(plan, 0)
    elif not needs_votes(model, plan.settings):
        needed = []
    return len({task.number for task in needed} - plan.ledger.done(MATCH))


class TrySlices:
    """Colours slices spread over the scan and tells what that took."""

    def __init__(self, plan: Plan, records: Sequence[ReferenceRecord]) -> None:
        """Open the scan and load the network."""
        self._plan, self._records = plan, records
        self._prepared: list[PreparedReference] = []
        self._model: ColorModel | None = None
        self._device = torch.device(plan.settings.compute.device)
        self._votes_bytes: list[int] = []
        self._network = plan.open_network().module
        self._read = plan.open_target()

    def __call__(self, _task: str) -> Tried:
        """Try, after once for what is compiled or planned on first use."""
        settings, threads = self._plan.settings, self._plan.threads
        references = self._load(settings.retrieval.references)
        most, share = settings.compute.batch_pairs, settings.compute.gpu_share
        pairs = pairs_at_once(self._network, settings, most, share)
        together = max(1, pairs // len(references))
        depth = self._plan.levels[0].shape[0]
        count = 2 * threads + 2 if together == 1 else _RUNS_TRIED * together
        chosen = np.linspace(0, depth - 1, count + 2).astype(int)[1:-1]
        runs = [chosen[first : first + together] for first in range(0, len(chosen), together)]
        self._prepared = prepare_references(references, self._network, settings)
        middle = next((z for z in (depth // 2, *chosen.tolist()) if self._read(z).body.any()), 0)
        self._learn(middle)
        self._color([middle] * together, Stopwatch(), PairLimit(pairs))
        self._votes_bytes.clear()
        target = self._read(middle)
        description_s = self._seconds(lambda: self._describe(target))
        preparation_s = self._seconds(
            lambda: prepare_references(references, self._network, settings)
        )
        watch = Stopwatch()
        begin = time.perf_counter()
        colored = map_slices(
            lambda run: self._color(run.tolist(), watch, PairLimit(pairs)), runs, threads
        )
        slice_s = (time.perf_counter() - begin) / len(chosen)
        codec = pa.Codec("zstd", compression_level=settings.store.compression_level)
        rgba = [one for run in colored for one in run]
        compressed = sum(codec.compress(one).size for one in rgba) / sum(map(len, rgba))
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Tried(
            slice_s,
            watch.seconds["color"] / sum(watch.seconds.values()),
            description_s,
            preparation_s / len(references),
            compressed,
            sum(self._votes_bytes) / len(chosen),
            used if sys.platform == "darwin" else 1024 * used,
            int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0,
        )

    def _color(self, slices: Sequence[int], watch: Stopwatch, limit: PairLimit) -> list[bytes]:
        """Colour slices that are matched together; tell how long both passes take."""
        with watch("match"):
            targets = [self._read(z) for z in slices]
            votes = {one.z: one for one in self._vote(targets, limit)}
            self._count(votes.values())
        with watch("color"):
            return [self._paint(target, votes.get(target.z)).tobytes() for target in targets]

    def _vote(self, targets: Sequence[TargetSlice], limit: PairLimit) -> Iterator[SliceVotes]:
        heard = [[(one, 1.0) for one in self._prepared]] * len(targets)
        plan, network = self._plan, self._network
        given = targets, heard, network, plan.settings, plan.statistics, Stopwatch(), limit
        return vote_on_slices(*given)

    def _learn(self, z: int) -> None:
        """Make a model of one slice to go on with, that gives its colours to all."""
        plan, votes = self._plan, list(self._vote([self._read(z)], PairLimit(1)))
        if plan.uses_model and votes:
            first = replace(votes[0], z=0)
            model = learn_from_slice(first, plan.statistics, plan.settings.model)
            self._model = model.to(self._device)

    def _count(self, votes: Iterable[SliceVotes]) -> None:
        """Count votes as often as the passes do."""
        plan, settings = self._plan, self._plan.settings.model
        for one in votes:
            self._votes_bytes.append(bytes_of_votes(one))
            if self._model is not None:
                given = [one], range(one.z, one.z + 1), plan.lattice
                for draft in (None, *[self._model] * settings.rounds):
                    wanted = *given, draft, settings, self._device
                    on_device(self._device, partial(count_votes, *wanted))

    def _paint(
        self, target: TargetSlice, votes: SliceVotes | None
    ) -> UInt8[np.ndarray, "row col 4"]:
        plan = self._plan
        own = votes if needs_votes(self._model, plan.settings) else None
        given = plan.settings, plan.statistics, self._device
        return color_slice(target, self._model, own, *given).rgba

    def _describe(self, target: TargetSlice) -> None:
        grey, body = described_picture(target)
        if body.any():
            describe(self._network, grey, body)

    @staticmethod
    def _seconds(action: Callable[[], object]) -> float:
        """Return the seconds of an action, the first time left out."""
        action()
        begin = time.perf_counter()
        action()
        return time.perf_counter() - begin

    def _load(self, count: int) -> list[ReferenceSlice]:
        """Return photographs from the middle of the library, as many as a slice hears."""
        found: list[ReferenceSlice] = []
        for record in _near_the_middle(self._records):
            try:
                found.append(load_reference(record, self._plan.settings.reference))
            except EmptyFrameError:
                continue
            if len(found) == count:
                break
        if not found:
            raise InputError(
                self._records[len(self._records) // 2].path,
                "no body on it and its neighbours",
                "Check them",
            )
        return [found[number % len(found)] for number in range(count)]


def _near_the_middle(records: Sequence[ReferenceRecord]) -> Sequence[ReferenceRecord]:
    """Return the photographs that are tried."""
    middle = len(records) // 2
    return records[middle : middle + _MOST_TRIED]


def _records(references: Place, settings: RunSettings) -> Sequence[ReferenceRecord]:
    if is_index_place(references):
        index = read_index(local_index(references))
        tried = _near_the_middle(index.records)
        refuse_changed_photographs(index, {record.reference_id for record in tried})
        return index.records
    return list_references(references.absolute(), settings.reference)


def _spoken(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
