"""Building and opening reference indexes with any runner."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import numpy as np

from medcolor.body import body_mask
from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.features.extract import describe
from medcolor.progress import ProgressReport
from medcolor.reference import ReferenceRecord, list_references
from medcolor.retrieval.assignment import cosine_similarity, top_k
from medcolor.retrieval.index import ReferenceIndex, is_index, read_index, write_index
from medcolor.run.plan import open_network, resolve_hardware, resolve_threads
from medcolor.run.tasks import Runner, run_all
from medcolor.run.workers import DescribeReferences
from medcolor.volume.files import digest_files
from medcolor.volume.images import read_image
from medcolor.volume.window import window_of_values

_PER_TASK = 8
_log = logging.getLogger(__name__)


def build_index(
    references: Path,
    folder: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> ReferenceIndex:
    """Describe a folder of photographs and write the index into `folder`.

    Raises:
        InputError: No photographs, none with a body, or one that cannot be used.
    """
    settings = resolve_hardware(settings, is_local=runner.is_local)
    records = list_references(references, settings.reference)
    tasks = [tuple(records[i : i + _PER_TASK]) for i in range(0, len(records), _PER_TASK)]
    threads = resolve_threads(settings, runner)
    progress.begin("references", len(records))
    described = run_all(
        runner,
        lambda: DescribeReferences(settings, threads),
        tasks,
        lambda done: progress.advance(len(done.task)),
        f"describing {references}",
    )
    shown = np.flatnonzero(np.concatenate([part.visible for part in described]))
    if len(shown) == 0:
        raise InputError(
            references,
            f"none of {len(records)} photographs shows a body on a plain background",
            "Give colour cross-sections on white, black or blue gel",
        )
    if len(shown) < len(records):
        _log.warning(
            "%d of %d photographs are empty and left out", len(records) - len(shown), len(records)
        )
    thumbnails = [image for part in described for image in part.thumbnails]
    index = ReferenceIndex(
        tuple(records[number] for number in shown),
        np.concatenate([part.descriptors for part in described])[shown],
        open_network(settings).digest,
        settings.digest("reference"),
        _digest_of(records),
    )
    write_index(index, [thumbnails[number] for number in shown], folder)
    return index


def open_index(
    references: Path,
    kept: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> ReferenceIndex:
    """Return the index at `references`, or one of the photographs there, kept in `kept`."""
    if is_index(references):
        return _read(references, settings)
    if is_index(kept):
        index = _read(kept, settings)
        if index.library_digest == library_digest(references, settings):
            return index
        shutil.rmtree(kept)
    return build_index(references, kept, settings, runner, progress)


def query_index(
    folder: Path, image: Path, settings: RunSettings, count: int
) -> list[tuple[str, float]]:
    """Return ids and cosines of the references most similar to one grey slice, best first.

    Raises:
        InputError: If the image shows no body, or the index was made otherwise.
    """
    index = _read(folder, settings)
    values = read_image(image).astype(np.float32)
    grey = values if values.ndim == 2 else values.mean(axis=-1)
    window = window_of_values(grey, settings.volume, settings.features.equalization)
    luminance = np.clip(window.position(grey), 0, 1)
    body = body_mask(window.position(grey), threshold=window.body_threshold)
    if not body.any():
        raise InputError(image, "no body found", "Give one slice on a dark background")
    network = open_network(settings).module
    descriptor = describe(network, window.matched(luminance), body)
    similarity = cosine_similarity(descriptor[None], index.descriptors)
    best = top_k(similarity, count)[0]
    return [(index.records[i].reference_id, float(similarity[0, i])) for i in best]


def library_digest(references: Path, settings: RunSettings) -> str:
    """Name the photographs of an index or a folder by their contents."""
    if is_index(references):
        return _read(references, settings).library_digest
    return _digest_of(list_references(references, settings.reference))


def _digest_of(records: list[ReferenceRecord]) -> str:
    """Name photographs by their contents, and by how they lie where a record says it."""
    files = digest_files(record.path for record in records)
    turned = [record.orientation for record in records]
    if not any(turned):
        return files
    return hashlib.blake2b(f"{files} {turned}".encode(), digest_size=16).hexdigest()


def _read(folder: Path, settings: RunSettings) -> ReferenceIndex:
    return read_index(
        folder,
        network_digest=open_network(settings).digest,
        preparation_digest=settings.digest("reference"),
    )
