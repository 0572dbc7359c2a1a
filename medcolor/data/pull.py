"""Fetching a part of the Visible Human: parallel, resumed, checked, credited."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from medcolor.data.catalog import CREDIT, TERMS, Collection, Dataset, Kind, root_url
from medcolor.data.manifest import Listing, read_index, read_links
from medcolor.download import Patience, fetch
from medcolor.errors import EmptyFrameError, InputError, RunError, some_of
from medcolor.progress import ProgressReport, Silent
from medcolor.reference.credit import CREDITS
from medcolor.reference.library import number_in_name
from medcolor.storage import path_below, write_atomic
from medcolor.storage.durable import move_into_place
from medcolor.volume.genesis import read_genesis
from medcolor.volume.raw_cryosection import read_raw_cryosection

_AT_ONCE = 4
_NAMED = 5
_SILENT = 4
"""Files that the site was asked for in vain, one after the other, before it is given up."""

_SLACK_MM = 0.01
_REMEDY = "Run the same command again: what is there is kept"

State = Literal["fetched", "kept", "bad"]


@dataclass(frozen=True)
class Wanted:
    """A file to fetch."""

    url: str
    path: Path
    kind: Kind
    size: int | None


@dataclass(frozen=True)
class Pulled:
    """What came of a pull."""

    fetched: int
    kept: int
    lost: int
    """Empty placeholders of lost sections, among both."""

    megabytes: float

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.fetched} fetched, {self.kept} kept, {self.lost} of them empty placeholders of "
            f"lost sections, {self.megabytes:.1f} MB. {CREDIT}."
        )


def pull(
    dataset: Dataset,
    output: Path,
    progress: ProgressReport,
    *,
    modality: str = "cryosection",
    region: str | None = None,
    numbers: tuple[int, int] | None = None,
    every_mm: float | None = None,
    patience: Patience | None = None,
) -> Pulled:
    """Fetch files of a dataset; whole ones that are there are kept, cut ones continued.

    Args:
        dataset: Of the catalogue.
        output: Folder to write into.
        progress: Told the files.
        modality: Of the dataset.
        region: Of the dataset; by default the whole body.
        numbers: First and last section, both included; by default all.
        every_mm: Distance of the images, of which numbers are millimetres; by default all.
        patience: With bad connections.

    Raises:
        InputError: No such modality or region, or nothing of it on the site.
        RunError: Some files could not be had; the others are kept.
    """
    bears = patience or Patience()
    wanted = _choose(dataset, output, modality, region, numbers, every_mm, bears)
    _write_credits(dataset, output)
    progress.begin("files", len(wanted))

    silent = 0

    def one(file: Wanted) -> tuple[State, str]:
        nonlocal silent
        if silent >= _SILENT and not file.path.is_file():
            return "bad", "not tried: the site no longer answers"
        try:
            done = _have(file, bears)
            silent = 0
        except RunError as error:
            silent += 1
            done = "bad", str(error.args[1])
        progress.advance(1)
        return done

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(one, wanted))
    bad = [
        f"{w.path.name} ({why})" for w, (s, why) in zip(wanted, outcomes, strict=True) if s == "bad"
    ]
    if bad:
        raise RunError(
            output,
            f"{len(bad)} of {len(wanted)} files could not be had: {some_of(bad, _NAMED)}",
            _REMEDY,
        )
    states = [state for state, _ in outcomes]
    return Pulled(
        states.count("fetched"),
        states.count("kept"),
        sum(why == "lost" for _, why in outcomes),
        sum(file.path.stat().st_size for file in wanted) / 1e6,
    )


def _choose(
    dataset: Dataset,
    output: Path,
    modality: str,
    region: str | None,
    numbers: tuple[int, int] | None,
    every_mm: float | None,
    patience: Patience,
) -> list[Wanted]:
    """Return the files that are asked for, by name."""
    if modality not in dataset.modalities:
        raise InputError(
            dataset.name, f"no modality {modality}", f"Give one of {', '.join(dataset.modalities)}"
        )
    if region is not None and region not in dataset.regions:
        raise InputError(
            dataset.name, f"no region {region}", f"Give one of {', '.join(dataset.regions)}"
        )
    base = root_url() + dataset.directory
    index = read_index(base, patience)
    ranges = [r for r in (numbers, None if region is None else dataset.regions[region]) if r]
    found: dict[Path, Wanted] = {}
    for collection in dataset.modalities[modality]:
        for directory in _directories(collection, dataset, region, ranges):
            listing = index.get(directory)
            if listing is None:
                listing = read_links(base + directory, patience)
            for name, size in _matching(collection, listing, ranges):
                path = path_below(output, f"{collection.folder}/{name}")
                found[path] = Wanted(base + directory + name, path, collection.kind, size)
    if not any(file.kind != "text" for file in found.values()):
        raise InputError(
            f"{dataset.name} {modality}",
            f"the site lists no such files below {base}",
            "Ask for other numbers or another region",
        )
    if every_mm is not None:
        images = [path for path, file in found.items() if file.kind != "text"]
        for path in set(images) - set(thin_out(images, every_mm)):
            del found[path]
    return [found[path] for path in sorted(found)]


def thin_out(images: Iterable[Path], every_mm: float) -> list[Path]:
    """Return images at least `every_mm` apart by the numbers in their names, the first included.

    The thirds of a millimetre that letters stand for are of use, so 1001c and 1002a are 1/3 apart.
    """
    kept: list[Path] = []
    last = -math.inf
    for position, path in sorted((number_in_name(path.stem) or 0.0, path) for path in images):
        if position - last >= every_mm - _SLACK_MM:
            kept.append(path)
            last = position
    return kept


def _directories(
    collection: Collection, dataset: Dataset, region: str | None, ranges: list[tuple[int, int]]
) -> list[str]:
    """Return the directories that may hold what is asked for."""
    if "{region}" not in collection.directory:
        return [collection.directory]
    regions = [
        name
        for name, (first, last) in dataset.regions.items()
        if region in (None, name) and all(first <= b and a <= last for a, b in ranges)
    ]
    return [collection.directory.format(region=one) for one in regions]


def _matching(
    collection: Collection, listing: Listing, ranges: list[tuple[int, int]]
) -> list[tuple[str, int | None]]:
    chosen = []
    for name, size in listing.items():
        match = re.fullmatch(collection.pattern, name)
        if match and all(first <= int(match[1]) <= last for first, last in ranges):
            chosen.append((name, size))
    return chosen


def _have(file: Wanted, patience: Patience) -> tuple[State, str]:
    """Make sure of one file; wrong bytes are fetched once more from the start.

    Raises:
        RunError: The site does not answer.
    """
    try:
        if file.path.is_file() and (what := _check(file, file.path)) is not None:
            return "kept", what
        part = file.path.with_name(f"{file.path.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            fetch(file.url, part, _REMEDY, Silent(), patience)
            if (what := _check(file, part)) is not None:
                move_into_place(part, file.path)
                return "fetched", what
            part.unlink()
    except InputError as error:
        return "bad", str(error.args[1])
    return "bad", "damaged twice"


def _check(file: Wanted, path: Path) -> str | None:
    """Return `whole` or `lost` (a placeholder), or None for a file that is wrong."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return None
    if size == 0 and file.kind != "text":
        return "lost"
    try:
        return _decode(file, path)
    except InputError:
        return None


def _decode(file: Wanted, path: Path) -> str | None:
    content = path.read_bytes()
    if file.kind == "image":
        try:
            with Image.open(path) as picture:
                picture.verify()  # the checksums of its chunks, which OpenCV does not mind
        except (OSError, SyntaxError, ValueError):
            return None
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        return None if image is None else "whole"
    if file.kind == "raw":
        try:
            read_raw_cryosection(path)
        except EmptyFrameError:
            return "lost"
    if file.kind == "genesis" and read_genesis(path, file.path.name) is None:
        return "lost"
    return "whole"


def _write_credits(dataset: Dataset, output: Path) -> None:
    text = (
        f"{dataset.name}\n{CREDIT}.\nFrom {root_url()}{dataset.directory}\nTerms: {TERMS}\n"
        "No endorsement by the library is implied.\n"
    )
    write_atomic(output / CREDITS, text.encode())
