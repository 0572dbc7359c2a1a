"""The workers: each does one kind of task, and any runner may run it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.color import grey_of
from medcolor.colorize import PreparedReference, colorize_slices, prepare_reference
from medcolor.config import RunSettings
from medcolor.errors import EmptyFrameError, RunError
from medcolor.features.extract import describe
from medcolor.reference import ReferenceRecord, load_reference
from medcolor.retrieval.record import Source
from medcolor.run.plan import Plan, SlabTask, open_network
from medcolor.run.reference_cache import ReferenceCache
from medcolor.run.threads import map_slices
from medcolor.stopwatch import Stopwatch
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.store import write_slab

_THUMBNAIL_PX = 96


@dataclass(frozen=True)
class Descriptions:
    """Descriptors of slices or references, in the order of the task."""

    descriptors: Float[np.ndarray, "image descriptor"]
    visible: Bool[np.ndarray, " image"]
    thumbnails: tuple[bytes, ...] = ()
    """PNG, of references only."""


@dataclass(frozen=True)
class SlabReport:
    """What a finished slab tells."""

    slices: int
    seconds: dict[str, float]
    """By stage, added up over slices."""


class DescribeReferences:
    """Describes photographs for the index."""

    def __init__(self, settings: RunSettings, threads: int) -> None:
        """Load the network."""
        self._settings, self._threads = settings, threads
        self._network = open_network(settings).module

    def __call__(self, records: Sequence[ReferenceRecord]) -> Descriptions:
        """Describe some photographs; empty ones get a zero descriptor."""
        pairs = map_slices(self._describe, records, self._threads)
        stacked = np.stack([descriptor for descriptor, _ in pairs])
        return Descriptions(
            stacked,
            np.asarray(stacked.any(axis=1)),
            tuple(thumbnail for _, thumbnail in pairs),
        )

    def _describe(self, record: ReferenceRecord) -> tuple[Float[np.ndarray, " descriptor"], bytes]:
        try:
            reference = load_reference(record, self._settings.reference)
        except EmptyFrameError:
            return np.zeros(self._network.spec.descriptor_size, np.float32), b""
        grey = grey_of(reference.rgb.astype(np.float32) / 255)
        descriptor = describe(self._network, grey, reference.tissue)
        rows, cols = reference.tissue.shape
        scale = _THUMBNAIL_PX / max(rows, cols)
        size = max(1, round(cols * scale)), max(1, round(rows * scale))
        small = cv2.resize(reference.rgb, size, interpolation=cv2.INTER_AREA)
        return descriptor, cv2.imencode(".png", small[..., ::-1])[1].tobytes()


class DescribeSlices:
    """First pass: describes slices of the scan."""

    def __init__(self, plan: Plan) -> None:
        """Open the scan and load the network."""
        self._plan = plan
        self._network = plan.open_network().module
        self._read = plan.open_target()

    def __call__(self, slices: range) -> Descriptions:
        """Describe some slices; those without a body get a zero descriptor."""
        descriptors = map_slices(self._describe, slices, self._plan.threads)
        stacked = np.stack(descriptors)
        return Descriptions(stacked, np.asarray(stacked.any(axis=1)))

    def _describe(self, z: int) -> Float[np.ndarray, " descriptor"]:
        target = self._read(z)
        if not target.body.any():
            return np.zeros(self._network.spec.descriptor_size, np.float32)
        return describe(self._network, target.matched_luminance, target.body)


class ColorizeSlab:
    """Second pass: colours the slices of a slab and writes its shard."""

    def __init__(self, plan: Plan) -> None:
        """Open the scan and load the network."""
        self._plan = plan
        self._network = plan.open_network().module
        self._read = plan.open_target()
        self._references = ReferenceCache(self._prepare, plan.settings.compute.reference_memory_mb)

    def __call__(self, task: SlabTask) -> SlabReport:
        """Colour, write, mark as done."""
        stopwatch = Stopwatch()
        batches = task.batches(self._plan.settings.compute.batch_slices)

        def color(batch: tuple[range, tuple[Source, ...]]) -> UInt8[np.ndarray, "z row col 4"]:
            return self._colorize(*batch, stopwatch)

        rgba = np.concatenate(map_slices(color, batches, self._plan.threads))
        with stopwatch("writing"):
            _write(self._plan, task, rgba)
        return SlabReport(len(task.slices), stopwatch.seconds)

    def _colorize(
        self, slices: range, sources: tuple[Source, ...], stopwatch: Stopwatch
    ) -> UInt8[np.ndarray, "z row col 4"]:
        settings = self._plan.settings
        with stopwatch("reading"):
            targets = [self._read(z) for z in slices]
        with stopwatch("reference"):
            prepared = [(self._references(one.record), one.weight) for one in sources]
        colored = colorize_slices(targets, prepared, self._network, settings, stopwatch)
        return np.stack([one.rgba for one in colored])

    def _prepare(self, record: ReferenceRecord) -> PreparedReference:
        settings = self._plan.settings
        reference = load_reference(record, settings.reference)
        return prepare_reference(reference, self._network, settings.features)


class CoarsenSlab:
    """Writes slabs of the coarser levels."""

    def __init__(self, plan: Plan) -> None:
        """Take the plan."""
        self._plan = plan

    def __call__(self, task: SlabTask) -> SlabReport:
        """Average, write, mark as done."""
        stopwatch = Stopwatch()
        with stopwatch("pyramid"):
            rgba = coarse_slab(self._plan.output, self._plan.levels[task.level], task.slices)
            _write(self._plan, task, rgba)
        return SlabReport(len(task.slices), stopwatch.seconds)


def _write(plan: Plan, task: SlabTask, rgba: UInt8[np.ndarray, "z y x 4"]) -> None:
    """Write a slab, then its marker."""
    with full_disk_is_final(plan.output):
        write_slab(plan.output, task.level, task.slices, rgba)
        checksum = hashlib.blake2b(rgba.tobytes(), digest_size=16).hexdigest()
        plan.ledger.mark_done(task.level, task.number, checksum)


@contextmanager
def full_disk_is_final(place: Path) -> Iterator[None]:
    """Turn a full disk into an error that ends the run: no later slab would fit either."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RunError(
            place,
            "the disk is full",
            "Free space and run the same command again; finished slabs are kept",
        ) from error
