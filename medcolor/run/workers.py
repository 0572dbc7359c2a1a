"""The workers: each does one kind of task, and any runner may run it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.color import grey_of
from medcolor.colorize import vote_on_slices
from medcolor.config import RunSettings
from medcolor.domain import ColorSlice, SliceVotes, TargetSlice
from medcolor.errors import DiskFullError, EmptyFrameError, RunError
from medcolor.features.extract import describe
from medcolor.gpu import on_device
from medcolor.pair_limit import PairLimit, pairs_at_once
from medcolor.prepared import PreparedReference, crop_slice, described_picture, prepare_references
from medcolor.reference.library import ReferenceRecord, load_reference
from medcolor.reference.orientation import from_view
from medcolor.reference.sheet import fit
from medcolor.retrieval.parts import DescribedReference
from medcolor.retrieval.record import Source
from medcolor.run.hardware import open_device
from medcolor.run.model_file import find_model
from medcolor.run.plan import Plan, SlabTask, open_network
from medcolor.run.reference_cache import ReferenceCache
from medcolor.run.slab_report import Clock, SlabReport
from medcolor.run.slabs import model_of
from medcolor.run.threads import Loaders, map_slices, overlapped
from medcolor.run.votes_files import (
    LostVotesError,
    read_votes,
    sums_name,
    votes_name,
    write_sums,
    write_votes,
)
from medcolor.stopwatch import Stopwatch
from medcolor.storage import Place, size_of
from medcolor.transfer.ballot import Ballot, count_votes, join
from medcolor.transfer.looks import color_slice, needs_votes
from medcolor.volume.files import digest_file
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.shards import checksum_of, shard_key
from medcolor.volume.store import write_slab
from medcolor.votes import warm_up

_THUMBNAIL_PX = 96
Batch = tuple[range, list[tuple[Source, ...]]]
Made = dict[int, SliceVotes]


@dataclass(frozen=True)
class Descriptions:
    """Descriptors of slices, in the order of the task."""

    descriptors: Float[np.ndarray, "slice descriptor"]
    visible: Bool[np.ndarray, " slice"]


class DescribeReferences:
    """Describes photographs for the index."""

    def __init__(self, settings: RunSettings, threads: int) -> None:
        """Load the network."""
        self._settings, self._threads = settings, threads
        self._network = open_network(settings).module

    def __call__(self, records: Sequence[ReferenceRecord]) -> list[DescribedReference]:
        """Describe some photographs; empty ones get a zero descriptor."""
        return map_slices(self._describe, records, self._threads)

    def _describe(self, record: ReferenceRecord) -> DescribedReference:
        try:
            reference = load_reference(record, self._settings.reference)
        except EmptyFrameError:
            nothing = np.zeros(self._network.spec.descriptor_size, np.float32)
            return DescribedReference(record, digest_file(record.path), nothing, b"", {})
        grey = grey_of(reference.rgb.astype(np.float32) / 255)
        rows, cols = reference.tissue.shape
        small = fit(reference.rgb, _THUMBNAIL_PX)
        return DescribedReference(
            record,
            digest_file(record.path),
            describe(self._network, grey, reference.tissue),
            cv2.imencode(".png", small[..., ::-1])[1].tobytes(),
            {"shape": [rows, cols], "tissue_share": round(float(reference.tissue.mean()), 4)},
        )


class DescribeSlices:
    """First pass: describes slices of the scan, as photographs may lie."""

    def __init__(self, plan: Plan, codes: tuple[str, ...]) -> None:
        """Open the scan and load the network."""
        self._plan, self._codes = plan, codes
        self._network = plan.open_network().module
        self._read = plan.open_target()

    def __call__(self, slices: Sequence[int]) -> Float[np.ndarray, "slice code descriptor"]:
        """Describe some slices; those without a body get zero descriptors."""
        return np.stack(map_slices(self._describe, slices, self._plan.threads))

    def _describe(self, z: int) -> Float[np.ndarray, "code descriptor"]:
        grey, body = described_picture(self._read(z))
        if not body.any():
            return np.zeros((len(self._codes), self._network.spec.descriptor_size), np.float32)
        turned = [(from_view(grey, code), from_view(body, code)) for code in self._codes]
        return np.stack([describe(self._network, *map(np.ascontiguousarray, t)) for t in turned])


@dataclass(frozen=True)
class _Read:
    """What is there when a batch of slices is to be matched."""

    batch: Batch
    targets: list[TargetSlice]
    prepared: dict[str, PreparedReference] | None
    """Its photographs, if they were prepared ahead."""

    seconds: dict[str, float]
    """That it took, by stage."""


class MatchSlab:
    """Second pass: asks photographs for the colours of the slices of a slab."""

    def __init__(self, plan: Plan, turn: str) -> None:
        """Open the scan, load the network, compile; `turn` is how the photographs lie."""
        self._plan, self._turn = plan, turn
        settings = plan.settings
        self._network = plan.open_network().module
        self._read = plan.open_target()
        self._references = ReferenceCache(self._prepare, settings.compute.reference_memory_mb)
        self._on_gpu = self._network.device.type == "cuda"
        most, share = settings.compute.batch_pairs, settings.compute.gpu_share
        self._limit = PairLimit(pairs_at_once(self._network, settings, most, share))
        self._loaders: Loaders[Batch, _Read] | None = None
        self._following: SlabTask | None = None
        if self._on_gpu:
            cv2.setNumThreads(1)  # slices of the next slab are read between two slabs, too
            self._loaders = Loaders(plan.threads)
            side = settings.features.working_size_px
            middle = crop_slice(self._read(plan.levels[0].shape[0] // 2), settings.features)
            warm_up(self._network, settings, middle.body.shape if middle else (side, side))

    def expect(self, task: SlabTask) -> None:
        """Read the first slices of this slab while the last of the next one are matched."""
        self._following = task

    def __call__(self, task: SlabTask) -> SlabReport:
        """Match, write, mark as done."""
        clock, stopwatch = Clock(self._plan.settings), Stopwatch()
        halvings = self._limit.halvings
        self._plan.ledger.refuse_if_replaced()

        def read(batch: Batch) -> _Read:
            own = Stopwatch()  # it may be read while another slab is done
            with own("reading"):
                targets = [self._read(z) for z in batch[0]]
            # A GPU works on other pairs meanwhile; of a CPU every core has its hands full.
            ahead = self._load_references(batch[1], own) if self._on_gpu else None
            return _Read(batch, targets, ahead, own.seconds)

        def match(found: _Read) -> tuple[range, Made, Ballot | None]:
            slices, sources = found.batch
            stopwatch.add(found.seconds)
            prepared = found.prepared or self._load_references(sources, stopwatch)
            made = self._match(found.targets, sources, prepared, stopwatch)
            return slices, made, self._count(made, slices, stopwatch)

        sizes: dict[str, int] = {}
        ballots: list[Ballot] = []

        def write(made: tuple[range, Made, Ballot | None]) -> None:
            slices, votes, ballot = made
            ballots.extend([] if ballot is None else [ballot])
            with stopwatch("writing"), speaking_of_full_disks(self._plan.votes):
                for z in slices:
                    sizes[votes_name(z)] = write_votes(self._plan.votes, z, votes.get(z))

        batches = task.batches(self._limit.pairs)
        after, self._following = self._following, None
        following = after.batches(self._limit.pairs) if after and self._loaders else ()
        threads, loaders = self._plan.threads, self._loaders
        overlapped(batches, read, match, write, threads, loaders=loaders, following=following)
        if self._plan.uses_model:
            name = sums_name("", task.number)
            with stopwatch("writing"), speaking_of_full_disks(self._plan.votes):
                sizes[name] = write_sums(self._plan.votes, name, join(ballots))
        self._plan.ledger.mark_done(task.stage, task.number, "", clock.seconds, sizes)
        return replace(clock.report(task, stopwatch), halvings=self._limit.halvings - halvings)

    def _match(
        self,
        targets: list[TargetSlice],
        sources: list[tuple[Source, ...]],
        prepared: dict[str, PreparedReference],
        stopwatch: Stopwatch,
    ) -> Made:
        references = [
            [(prepared[one.reference_id], one.weight) for one in heard] for heard in sources
        ]
        found = vote_on_slices(
            targets,
            references,
            self._network,
            self._plan.settings,
            self._plan.statistics,
            stopwatch,
            self._limit,
        )
        return {one.z: one for one in found}

    def _count(self, made: Made, slices: range, stopwatch: Stopwatch) -> Ballot | None:
        """Count the votes of slices for the colour model, where there is to be one."""
        if not self._plan.uses_model:
            return None
        plan, device = self._plan, self._network.device

        def count() -> Ballot:
            votes, model = made.values(), plan.settings.model
            with stopwatch("counting", device):
                return count_votes(votes, slices, plan.lattice, None, model, device)

        return on_device(device, count)

    def _load_references(
        self, sources: list[tuple[Source, ...]], stopwatch: Stopwatch
    ) -> dict[str, PreparedReference]:
        """Return all photographs that some slices hear, by their names."""
        records = {one.reference_id: one.record for heard in sources for one in heard}
        with stopwatch("reference"):
            prepared = self._references(list(records.values()))
        return dict(zip(records, prepared, strict=True))

    def _prepare(self, records: Sequence[ReferenceRecord]) -> list[PreparedReference]:
        settings = self._plan.settings
        references = [load_reference(one, settings.reference, self._turn) for one in records]
        return prepare_references(references, self._network, settings)


class CountSlab:
    """Counts the votes of a slab again, weighted by a first model."""

    def __init__(self, plan: Plan, draft: str) -> None:
        """Read the model that a digest names.

        Raises:
            LostVotesError: It is gone: another run on the same output may have ended.
        """
        self._plan, self._name = plan, draft
        self._device = open_device(plan.settings)
        place = plan.draft(draft)
        found = find_model(place, plan.lattice, plan.ledger.identity)
        if found is None:
            raise LostVotesError(place, "no whole draft", "Run the same command again")
        self._draft = found.to(self._device)

    def __call__(self, task: SlabTask) -> SlabReport:
        """Count, and write the sums."""
        clock, stopwatch, plan = Clock(self._plan.settings), Stopwatch(), self._plan
        plan.ledger.refuse_if_replaced()

        def count(z: int) -> Ballot:
            slices = range(z, z + 1)
            with stopwatch("reading"):
                found = [one for one in read_votes(plan.votes, slices).values() if one is not None]

            def add_up() -> Ballot:
                given = plan.lattice, self._draft, plan.settings.model, self._device
                with stopwatch("counting", self._device):
                    return count_votes(found, slices, *given)

            return on_device(self._device, add_up)

        ballots = map_slices(count, task.slices, plan.threads)
        with stopwatch("writing"), speaking_of_full_disks(plan.votes):
            write_sums(plan.votes, sums_name(self._name, task.number), join(ballots))
        return clock.report(task, stopwatch)


class ColorSlab:
    """Third pass: gives slices the colours of the model, and writes their shard."""

    def __init__(self, plan: Plan) -> None:
        """Open the scan, read the model."""
        self._plan = plan
        self._read = plan.open_target()
        self._device = open_device(plan.settings)
        found = model_of(plan)
        if plan.uses_model and found is None:
            raise RunError(plan.model, "no whole colour model", "Run the same command again")
        self._model = None if found is None else found.to(self._device)

    def __call__(self, task: SlabTask) -> SlabReport:
        """Colour, write, mark as done."""
        clock, stopwatch = Clock(self._plan.settings), Stopwatch()

        def color(z: int) -> UInt8[np.ndarray, "row col 4"]:
            return self._color(z, stopwatch).rgba

        rgba = np.stack(map_slices(color, task.slices, self._plan.threads))
        with stopwatch("writing"):
            write_and_mark(self._plan, task, rgba, clock)
        return clock.report(task, stopwatch, rgba.nbytes)

    def _color(self, z: int, stopwatch: Stopwatch) -> ColorSlice:
        plan, model, votes = self._plan, self._model, None
        with stopwatch("reading"):
            target = self._read(z)
            if needs_votes(model, plan.settings):
                votes = read_votes(plan.votes, range(z, z + 1))[z]
        with stopwatch("transfer"):
            return color_slice(target, model, votes, plan.settings, plan.statistics, self._device)


class CoarsenSlab:
    """Writes slabs of the coarser levels."""

    def __init__(self, plan: Plan) -> None:
        """Take the plan."""
        self._plan = plan

    def __call__(self, task: SlabTask) -> SlabReport:
        """Average, write, mark as done."""
        clock, stopwatch = Clock(self._plan.settings), Stopwatch()
        with stopwatch("pyramid"):
            rgba = coarse_slab(self._plan.output, self._plan.levels[task.level], task.slices)
            write_and_mark(self._plan, task, rgba, clock)
        return SlabReport(len(task.slices), stopwatch.seconds, rgba.nbytes)


def write_and_mark(
    plan: Plan, task: SlabTask, rgba: UInt8[np.ndarray, "z y x 4"], clock: Clock
) -> None:
    """Write a slab, then its marker, with the seconds of the clock."""
    plan.ledger.refuse_if_replaced()
    with speaking_of_full_disks(plan.output):
        write_slab(plan.output, task.level, task.slices, rgba)
        key = shard_key(task.level, task.number)
        sizes = {key: size_of(plan.output / key) or 0}
        plan.ledger.mark_done(task.stage, task.number, checksum_of(rgba), clock.seconds, sizes)


@contextmanager
def speaking_of_full_disks(place: Place) -> Iterator[None]:
    """Turn a full disk into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            place,
            "the disk is full",
            "Free space and run the same command again; finished slabs are kept",
        ) from error
