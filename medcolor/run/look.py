"""Looking at a run's inputs and deciding what decides the pixels, before anything is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from medcolor.config import RunSettings
from medcolor.domain import GrayVolume, VolumeGeometry
from medcolor.run.index import library_digest
from medcolor.run.ledger import Ledger
from medcolor.run.plan import Plan, digest_network, resolve_threads, staging_of
from medcolor.run.tasks import Runner
from medcolor.storage import Place, local_copy
from medcolor.transfer.scan import ScanStatistics, measure_scan
from medcolor.volume.files import digest_files
from medcolor.volume.levels import plan_levels
from medcolor.volume.open import open_volume
from medcolor.volume.target import TargetReader
from medcolor.volume.window import Window, find_window, sampled_slices


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
    window = find_window(volume, settings.volume, settings.features.equalization)
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
        window=window,
        statistics=measure_target(volume, window, settings),
        levels=plan_levels(volume.geometry, settings.store),
        network_digest=network,
        staging=staging,
        input_facts={
            **volume.facts,
            "steps": volume.geometry.steps,
            "is_placed": volume.is_placed,
        },
    )
    return Look(plan, about, volume.geometry, photographs)


def measure_target(volume: GrayVolume, window: Window, settings: RunSettings) -> ScanStatistics:
    """Find the statistics of a scan, from slices that are spread evenly over it."""
    read = TargetReader(volume, window, settings.volume)
    slices = (read(z) for z in sampled_slices(volume, settings.volume))
    return measure_scan(
        ((one.values, one.body) for one in slices),
        volume.geometry.spacing_mm[1:],
        settings.features.working_size_px,
        window=(window.black, window.white),
        is_hounsfield=window.unit == "HU",
        air_below=window.air_below,
    )
