"""Which volumes a cohort has: a YAML or parquet file, or a pattern of paths or addresses."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from medcolor.errors import InputError
from medcolor.storage import Place, place_of, plain_name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REMEDY = "Give `volumes: [{name: a, target: PATH}, ..]`, or a parquet file of name and target"


@dataclass(frozen=True)
class Member:
    """One volume of a cohort."""

    name: str
    """Of its outputs."""

    target: Place


def read_cohort(manifest: str) -> list[Member]:
    """Return the volumes of a cohort, by name.

    Args:
        manifest: A file `*.yaml` (`volumes`: list of `name` and `target`) or `*.parquet` (columns
            `name` and `target`), or a pattern with `*` or `?`. Relative targets count from the
            manifest's folder. What a pattern finds is named by a digest of its path: file names
            may carry a patient's.

    Raises:
        InputError: None, no such file, or names that are doubled or no plain file names.
    """
    if any(sign in manifest for sign in "*?["):
        members = [Member(_digest(place), place) for place in _matching(manifest)]
    else:
        members = _listed(place_of(manifest))
    if not members:
        raise InputError(manifest, "no volumes", _REMEDY)
    for name, count in Counter(member.name for member in members).items():
        plain_name(name, manifest, _REMEDY)
        if count > 1 or not _NAME.fullmatch(name):
            problem = "named twice" if count > 1 else "no plain name: letters, digits, . _ -"
            raise InputError(manifest, f"volume {name!r}: {problem}", "Rename it")
    return sorted(members, key=lambda member: member.name)


def _listed(place: Place) -> list[Member]:
    if not place.is_file():
        raise InputError(place, "no such manifest", _REMEDY)
    try:
        rows = _rows(place)
        return [Member(_name(row["name"]), _from(place, row["target"])) for row in rows]
    except (yaml.YAMLError, pa.ArrowException, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(
            place, f"no manifest of volumes ({type(error).__name__})", _REMEDY
        ) from error


def _rows(place: Place) -> list[dict[str, Any]]:
    if place.suffix == ".parquet":
        return list(pq.read_table(io.BytesIO(place.read_bytes())).to_pylist())
    content = yaml.safe_load(place.read_text())
    return list(content["volumes"])


def _name(name: object) -> str:
    """Return a name; in YAML one of digits alone is a number."""
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise TypeError("a name is text")
    return str(name)


def _from(manifest: Place, target: object) -> Place:
    """Return a target; the list is the user's, who may name scans wherever they lie."""
    if not isinstance(target, str) or not target:
        raise TypeError("a target is a path or an address")
    place = place_of(target)
    if isinstance(place, Path) and not place.is_absolute():
        return manifest.parent / target
    return place


def _matching(pattern: str) -> list[Place]:
    """Return the files and folders that a pattern finds; `*` stays within a part of a path."""
    head = re.split(r"[*?\[]", pattern)[0]
    folder = head.rpartition("/")[0] or ("/" if pattern.startswith("/") else ".")
    rest = pattern[len(head.rpartition("/")[0]) :].lstrip("/")
    place = place_of(folder)
    if isinstance(place, Path):
        return [one.absolute() for one in sorted(place.glob(rest))]
    wanted = rest.split("/")
    found = set()
    for key, _ in place.walk():
        parts = key.split("/")[: len(wanted)]
        if len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted)):
            found.add("/".join(parts))
    return [place / one for one in sorted(found)]


def _digest(place: Place) -> str:
    return hashlib.blake2b(os.fsencode(str(place)), digest_size=6).hexdigest()
