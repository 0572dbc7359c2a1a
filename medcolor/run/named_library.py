"""Libraries asked for by name: fetched or drawn, prepared and indexed once, into the cache.

- `<cache>/libraries/<name>-<part>/`: `CREDITS.txt`, `complete`, `cryosection/*.png`
- in it `prepared-<how>/`, as `medcolor reference prepare` writes it
- and `index-<network and how>/`
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from medcolor.cache import cache_folder
from medcolor.config import RunSettings
from medcolor.data.catalog import CREDIT, DATASETS, TERMS
from medcolor.data.pull import pull
from medcolor.data.settings import LibrarySettings
from medcolor.errors import InputError
from medcolor.phantom.files import write_library
from medcolor.progress import ProgressReport
from medcolor.retrieval.index import is_index
from medcolor.run.index import build_index
from medcolor.run.index_parts import origin_of
from medcolor.run.plan import resolve_hardware
from medcolor.run.prepare import prepare_references
from medcolor.run.tasks import Runner
from medcolor.storage import Place, place_of, write_atomic
from medcolor.storage.locks import alone_with

PHANTOM = "phantom"
LIBRARIES = (*DATASETS, PHANTOM)

_PHOTOGRAPHS = "cryosection"
_COMPLETE = "complete"
_log = logging.getLogger(__name__)


def photographs_at(
    references: str | os.PathLike[str] | Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport | None,
) -> Place:
    """Return where photographs lie: at a place, or of a library in the cache.

    Args:
        references: A place, or the name of a library.
        settings: Of the run.
        runner: Prepares a library on first use.
        progress: Told how far that is; None if the library must be there already.

    Raises:
        InputError: No such library or region; or it is not there and must be.
    """
    if not is_library(references):
        return place_of(references)
    name = os.fspath(references)
    if progress is None:
        return known_index(name, settings, runner)
    return named_index(name, settings, runner, progress)


def is_library(references: str | os.PathLike[str] | Place) -> bool:
    """Tell a library's name from a place.

    Raises:
        InputError: There is a folder of this name, too.
    """
    if not (isinstance(references, str) and references in LIBRARIES):
        return False
    if Path(references).exists():
        raise InputError(
            references,
            "the name of a library, and of something in this folder",
            f"Write ./{references} for what is here, or call it from another folder",
        )
    return True


def named_index(name: str, settings: RunSettings, runner: Runner, progress: ProgressReport) -> Path:
    """Return the index of a library; whatever of it is missing is fetched and made.

    An interrupted first use goes on where it was; a second process waits for the first.

    Args:
        name: One of LIBRARIES.
        settings: Of the run; `library` chooses the photographs.
        runner: Prepares and describes photographs.
        progress: Told how far it is.

    Raises:
        InputError: No such region.
        RunError: The site does not answer; what was fetched is kept.
    """
    settings = resolve_hardware(settings, runner)
    index, wanted = _place(name, settings), settings.library
    folder = index.parent
    if is_index(index):
        return index
    folder.mkdir(parents=True, exist_ok=True)
    with alone_with(folder / "library"):
        if is_index(index):
            return index
        if not (folder / _COMPLETE).is_file():
            fetch: Callable[..., None] = _draw if name == PHANTOM else _fetch
            fetch(name, folder, wanted, progress)
            write_atomic(folder / _COMPLETE, b"")
        prepared = folder / f"prepared-{_named_by(settings.reference)}"
        prepare_references(folder / _PHOTOGRAPHS, prepared, _recording(settings), runner, progress)
        build_index(prepared, index, settings, runner, progress)
    return index


def _recording(settings: RunSettings) -> RunSettings:
    """Return settings with which it is recorded how the photographs of a library lie."""
    reference = settings.reference
    if reference.orientation != "auto":
        return settings
    known = replace(reference, orientation=reference.presumed_orientation)
    return settings.model_copy(update={"reference": known})


def known_index(name: str, settings: RunSettings, runner: Runner) -> Path:
    """Return the index of a library that was fetched before.

    Raises:
        InputError: It is not in the cache.
    """
    index = _place(name, resolve_hardware(settings, runner))
    if not is_index(index):
        raise InputError(
            name, "not in the cache yet", "Without --plan it is fetched and indexed first"
        )
    return index


def _place(name: str, settings: RunSettings) -> Path:
    """Return where the index of a library lies, or will."""
    folder = cache_folder() / "libraries" / f"{name}-{_named_by(settings.library)}"
    return folder / f"index-{_named_by(origin_of(settings))}"


def _named_by(what: object) -> str:
    """Name a folder by values that print alike wherever they are."""
    return hashlib.blake2b(repr(what).encode(), digest_size=6).hexdigest()


def _fetch(name: str, folder: Path, wanted: LibrarySettings, progress: ProgressReport) -> None:
    _log.warning("Fetching %s, once, into %s. %s. Terms: %s", name, folder, CREDIT, TERMS)
    pull(DATASETS[name], folder, progress, region=wanted.region, every_mm=wanted.every_mm)


def _draw(_name: str, folder: Path, wanted: LibrarySettings, progress: ProgressReport) -> None:
    progress.begin("phantom", 1)
    write_library(folder / _PHOTOGRAPHS, wanted.region or "whole", wanted.every_mm)
    progress.advance(1)
