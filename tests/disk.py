"""A model of a disk that keeps, when the power goes, what was flushed to it and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


class Disk:
    """Watches this process: which files and which names of files are flushed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to watch."""
        self._flushed: set[int] = set()
        """Files, by number: those that were flushed after their last byte."""
        self._names: dict[int, set[str]] = {}
        """Folders, by number: the names in them that were flushed."""
        self.created: list[Callable[[Path], None]] = []
        """Called before a file takes its name by a link, as markers do."""
        flush, replace, link = os.fsync, Path.replace, os.link

        def fsync(descriptor: int) -> None:
            flush(descriptor)
            about = os.fstat(descriptor)
            self._flushed.add(about.st_ino)
            place = Path(f"/proc/self/fd/{descriptor}").resolve()
            if place.is_dir():
                self._names[about.st_ino] = {one.name for one in place.iterdir()}

        def renamed(source: Path, target: Path) -> Path:
            self._taken(Path(target))
            return replace(source, target)

        def linked(source: Path, target: Path) -> None:
            for call in self.created:
                call(Path(target))
            self._taken(Path(target))
            link(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", renamed)
        monkeypatch.setattr(os, "link", linked)

    def keeps(self, path: Path, top: Path) -> bool:
        """Tell whether a file would be there, with its bytes and all folders below `top`."""
        if path.stat().st_ino not in self._flushed:
            return False
        folders = [one for one in path.parents if one.is_relative_to(top)]
        below = [path, *folders[:-1]]
        return all(
            one.name in self._names.get(folder.stat().st_ino, ())
            for one, folder in zip(below, folders, strict=True)
        )

    def _taken(self, path: Path) -> None:
        """Note that a name stands for another file from now on."""
        self._names.get(path.parent.stat().st_ino, set()).discard(path.name)
