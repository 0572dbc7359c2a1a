"""Deleting what medcolor made, and nothing else, in folders that others may have put files into."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from medcolor.storage.durable import delete_local
from medcolor.storage.object_path import ObjectPath
from medcolor.storage.place import Place


def delete_tree(place: Place) -> None:
    """Delete a folder that is this program's alone, or a file; nothing if there is none.

    Of a link the link is deleted, never what it leads to.
    """
    if isinstance(place, ObjectPath):
        for key, _ in list(place.walk()):
            (place / key).unlink()
        place.unlink()
    else:
        delete_local(place)


def delete_made(folder: Place, made: re.Pattern[str]) -> None:
    """Delete the files below a folder whose keys are of a kind, and folders that are then empty.

    Links count as files: what they lead to stays. The folder itself may be a link, and stays then.

    Args:
        folder: Of this program, absent, or of somebody else's.
        made: What keys of files that this program makes are: relative, with slashes.
    """
    if isinstance(folder, ObjectPath):
        for key, _ in list(folder.walk()):
            if made.fullmatch(key):
                (folder / key).unlink()
        return
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent, name)
            if made.fullmatch(path.relative_to(folder).as_posix()):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or a link
            Path(parent).rmdir()
