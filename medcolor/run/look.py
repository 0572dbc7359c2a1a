"""Looking at a run's inputs and deciding what decides the pixels, before anything is written."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from medcolor.config import RunSettings
from medcolor.domain import MATCHED_PLANE, GrayVolume, VolumeGeometry
from medcolor.errors import InputError
from medcolor.run.index import library_digest
from medcolor.run.ledger import Ledger
from medcolor.run.plan import Plan, digest_network, resolve_threads, staging_of
from medcolor.run.tasks import Runner
from medcolor.storage import Place, local_copy
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.scan import ScanStatistics
from medcolor.volume.files import digest_files
from medcolor.volume.levels import plan_levels
from medcolor.volume.open import open_volume
from medcolor.volume.target import TargetReader
from medcolor.volume.units import UNSAID
from medcolor.volume.window import sampled_slices

_LEAST_PX = 3
"""Across a body along both axes of a slice: fewer have no shape."""

_ENOUGH_PX = 6
"""Where they are longer than wide. A head finds the photographs that it finds in square pixels
where 6 lie across it, and where there are 4 it does not (LOG.md)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What is known of a run before it begins."""

    plan: Plan
    """Its ledger may not have been begun."""

    about: dict[str, str]
    """Digests of what decides the pixels."""

    geometry: VolumeGeometry
    photographs: str
    """Digest of the library."""


def look_at(
    target: Place,
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    staging: Path | None = None,
) -> Look:
    """Open the scan, find its window, digest everything.

    Only the staging folder is written to.

    Args:
        target: Scan.
        references: Photographs or an index of them.
        output: Volume to be.
        settings: With hardware resolved.
        runner: That will work.
        staging: For copies of the input; by default beside the output.

    Raises:
        InputError: Unusable input.
    """
    photographs = library_digest(references, settings)
    network = digest_network(settings)
    folder = staging or staging_of(output)
    volume = open_volume(local_copy(target, folder), settings.volume, folder)
    if UNSAID in volume.geometry.steps:
        _log.warning("scan: %s. Otherwise: --set volume.length_unit=um", UNSAID)
    read = TargetReader.finding(volume, settings.volume, settings.features.equalization)
    about = {
        "settings": settings.digest(),
        "target": digest_files(volume.files),
        "references": photographs,
        "network": network,
    }
    identity = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    plan = Plan(
        target=target,
        output=output,
        ledger=Ledger.of(output, identity),
        settings=settings,
        threads=resolve_threads(settings, runner),
        window=read.window,
        surroundings=read.surroundings,
        statistics=measure_target(volume, read, settings),
        levels=plan_levels(volume.geometry, settings.store),
        network_digest=network,
        staging=staging,
        input_facts={
            **volume.facts,
            "steps": volume.geometry.steps,
            "is_placed": volume.is_placed,
            "matched_plane": MATCHED_PLANE,
            "sharp_plane": volume.geometry.sharp_plane,
        },
    )
    return Look(plan, about, volume.geometry, photographs)


def measure_target(volume: GrayVolume, read: TargetReader, settings: RunSettings) -> ScanStatistics:
    """Find the statistics of a scan, from slices that are spread evenly over it.

    Raises:
        InputError: Its slices are too thin to show a shape.
    """
    window, across = read.window, []

    def bodies() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for z in sampled_slices(volume, settings.volume):
            one = read(z)
            if one.body.any():
                across.append(_across(one.body))
            yield one.values, one.body

    found = measure_scan(
        bodies(),
        volume.geometry.spacing_mm[1:],
        settings.features.working_size_px,
        window=(window.black, window.white),
        is_hounsfield=window.unit == "HU",
        air_below=window.value_of(window.body_threshold),
        cavity_below=window.value_of(read.surroundings.dark),
    )
    if across:
        _check_shapes(volume, np.median(across, axis=0))
    return found


def _across(body: Bool[np.ndarray, "row col"]) -> tuple[int, int]:
    """Return the rows and the columns that a body spans."""
    rows, cols = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    return int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1


def _check_shapes(volume: GrayVolume, across: Float[np.ndarray, " axis"]) -> None:
    """Refuse bodies that have no shape in their slices; warn where there is little of one."""
    sides_mm, pixel = volume.geometry.spacing_mm[1:], volume.geometry.pixel
    for count, name, mm, side in zip(across, ("rows", "columns"), sides_mm, pixel, strict=True):
        found = f"the body spans {count:g} {name} of {mm:g} mm in most slices, expected"
        if count < _LEAST_PX:
            remedy = "Give a scan whose slices show its shape"
            raise InputError(volume.source, f"{found} {_LEAST_PX} or more", remedy)
        if side > 1 and count < _ENOUGH_PX:
            problem = f"{volume.source}: {found} {_ENOUGH_PX} or more"
            _log.warning("%s: colours may be those of other places", problem)
