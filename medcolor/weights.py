"""Bringing published networks to this machine: pull, import, list, verify."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medcolor.download import Patience, download, file_digest
from medcolor.errors import InputError, RunError
from medcolor.features.network import GrayVGG19
from medcolor.features.published import read_published
from medcolor.features.registry import EMBEDDED, REGISTRY, PublishedWeights, stored_path
from medcolor.features.store import EMBEDDED_PATH, load_network, save_network
from medcolor.progress import ProgressReport
from medcolor.storage import plain_name, write_json
from medcolor.storage.durable import replacing


@dataclass(frozen=True)
class StoredWeights:
    """A network on this machine."""

    name: str
    path: Path
    digest: str
    """SHA-256 of the stored file: what indexes and runs know the network by."""

    origin_digest: str
    """SHA-256 of the file it came from."""


def pull_weights(
    entry: PublishedWeights,
    progress: ProgressReport,
    *,
    url: str | None = None,
    patience: Patience | None = None,
) -> StoredWeights:
    """Download a network, check it, and store it in the cache folder.

    Args:
        entry: What to fetch.
        progress: Told how far the download is.
        url: A mirror; the digest stays that of the registry.
        patience: How long a bad connection is borne.

    Raises:
        InputError: No such file, or it is not what the registry says.
        RunError: No connection, wrong bytes, or the disk is full.
    """
    path = stored_path(entry.name)
    source = url or entry.url
    name = plain_name(f"{entry.name}.download{Path(source).suffix}", f"weights {entry.name}")
    fetched = path.with_name(name)
    remedy = (
        f"Fetch {entry.url} where there is a network and run: medcolor weights import FILE"
        " (the embedded network needs no download)"
    )
    digest = download(
        source, fetched, sha256=entry.sha256, remedy=remedy, progress=progress, patience=patience
    )
    try:
        file = fetched if entry.member is None else _extract(fetched, entry.member)
        stored = _store(read_published(file), digest, source, expected=entry.name)
        if file != fetched:
            file.unlink()
    except InputError:
        fetched.unlink()
        raise
    fetched.unlink()
    return stored


def import_weights(path: Path) -> StoredWeights:
    """Store a network file the user has: one of the published layouts.

    Raises:
        InputError: Naming the first key that does not fit.
    """
    if not path.is_file():
        raise InputError(path, "no such file", "Give vgg19_gray.pth or torchvision's vgg19")
    network = read_published(path)
    return _store(network, file_digest(path), path.name, expected=None)


def verify_weights() -> list[tuple[str, bool, str]]:
    """Check every network on this machine: name, whether it is as it was stored, and why."""
    return [
        (name, *_verify(name, stored_path(name)))
        for name in (EMBEDDED, *REGISTRY)
        if stored_path(name).exists()
    ]


def list_weights() -> str:
    """Return a table of known networks and whether they are here."""
    rows = [("NAME", "HERE", "SIZE", "LICENCE", "SHA-256", "WHAT AND FROM WHERE")]
    size = EMBEDDED_PATH.stat().st_size / 1e6
    digest = file_digest(EMBEDDED_PATH)
    about = "made by jobs/train_features.py, travels with medcolor"
    rows.append((EMBEDDED, "yes", f"{size:.1f} MB", "MIT", digest[:12], about))
    for name, entry in REGISTRY.items():
        here = "yes" if stored_path(name).exists() else "no"
        digest = _card(stored_path(name)).get("origin_sha256", entry.sha256)
        about = f"{entry.about}; {entry.url}"
        rows.append(
            (name, here, f"{entry.megabytes} MB", entry.licence, digest[:12] or "unknown", about)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(lines)


def _extract(archive: Path, member: str) -> Path:
    """Take one file out of a zip archive."""
    target = archive.with_name(f"{archive.stem}{Path(member).suffix}")
    try:
        with zipfile.ZipFile(archive) as file:
            names = [name for name in file.namelist() if Path(name).name == member]
            if len(names) != 1:
                raise InputError(
                    archive, f"holds {len(names)} files {member}, expected one", "Report it"
                )
            with file.open(names[0]) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    except zipfile.BadZipFile as error:
        raise InputError(archive, f"no zip archive ({error})", "Pull again") from error
    return target


def _store(
    network: GrayVGG19, origin_digest: str, origin: str, *, expected: str | None
) -> StoredWeights:
    """Write a network and its card, whole or not at all."""
    name = network.spec.name
    if expected not in (None, name):
        raise InputError(
            origin, f"holds {name}, expected {expected}", "Report it: the origin changed"
        )
    path = stored_path(name)
    try:
        with replacing(path) as part:
            save_network(network, part, {"origin_sha256": origin_digest}, dtype=torch.float32)
    except OSError as error:
        raise RunError(path, f"cannot be written ({error.strerror})", "Free space there") from error
    digest = file_digest(path)
    write_json(
        path.with_suffix(".json"),
        {"name": name, "sha256": digest, "origin": origin, "origin_sha256": origin_digest},
    )
    return StoredWeights(name, path, digest, origin_digest)


def _verify(name: str, path: Path) -> tuple[bool, str]:
    """Compare a stored network with its card, and read it."""
    expected = _card(path).get("sha256")
    found = file_digest(path)
    if expected is None:
        return False, f"its card {path.with_suffix('.json')} is absent"
    if found != expected:
        remedy = "install medcolor again" if name == EMBEDDED else f"medcolor weights pull {name}"
        return False, f"SHA-256 is {found[:12]}.., stored was {expected[:12]}..; {remedy}"
    load_network(path)
    return True, found


def _card(path: Path) -> dict[str, Any]:
    card = path.with_suffix(".json")
    content: dict[str, Any] = json.loads(card.read_text()) if card.exists() else {}
    return content
