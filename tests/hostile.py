"""Names that lead elsewhere, and ground to try them on: a canary that nobody may touch.

Whether anybody does is asked of the kernel (inotify sees C libraries, too) and of Python's audit
events, which also tell attempts at what does not exist.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from medcolor.errors import MedcolorError

CANARY = "canary.png"
PLAIN = "1000.png"
"""A name that every place must take."""


def names(outside: Path) -> list[object]:
    """Return names of a file of another folder: some by way of `..`, some whole, some in disguise.

    Args:
        outside: The folder that holds the canary; its parent holds the one that names stand in.
    """
    near = f"../{outside.name}/{CANARY}"
    deep = f"../../{outside.name}/{CANARY}"
    return [
        near,
        deep,
        f"./{near}",
        f"below/../{near}",
        f"link/{CANARY}",
        str(outside / CANARY),
        f"/{outside / CANARY}",
        f"{outside}/./{CANARY}",
        near.replace("/", "\\"),
        f"C:\\{CANARY}",
        f"C:{CANARY}",
        f"\\\\server\\share\\{CANARY}",
        f"..\\/{CANARY}",
        "",
        ".",
        "..",
        "...",
        " .. ",
        "/",
        f"{CANARY}/",
        f"{near}/",
        "../",
        f"{near}\0.png",
        "a\0b.png",
        "a\nb.png",
        "a\r\n.png",
        "\x1b[2J\x1b[31m.png",
        "a\x7f.png",
        "a\u2028b.png",
        "\u202egnp.yranac",
        f"{'x' * 300}.png",
        f"{'x' * 5000}/../{near}",
        near.replace("/", "%2f"),
        near.replace("..", "%2e%2e"),
        "%2E%2E%5C%63anary.png",
        "a%00.png",
        near.replace("/", "\uff0f"),
        near.replace("/", "\u2215"),
        near.replace("/", "\u2044"),
        near.replace("..", "\u2024\u2024"),
        near.replace("/", "\uff3c"),
        f"file://{outside / CANARY}",
        f"file://../{CANARY}",
        f"s3://elsewhere/{CANARY}",
        f"https://elsewhere.example/{CANARY}",
        f"~/{CANARY}",
        "nul.png",
        "CON",
        "a\ud800.png",
        7,
        None,
        True,
        ["..", CANARY],
        {"name": near},
    ]


TEXTS = "of text alone"
"""Mark of a place where only text can stand."""


@dataclass(frozen=True)
class Ground:
    """Folders of one attack."""

    inside: Path
    outside: Path

    @property
    def canary(self) -> Path:
        """The file that nobody may touch."""
        return self.outside / CANARY


def make_ground(folder: Path) -> Ground:
    """Make the two folders, a canary that is a photograph, and a link that leads to it."""
    ground = Ground(folder / "inside", folder / "outside")
    ground.inside.mkdir(parents=True)
    ground.outside.mkdir()
    rgb = np.random.default_rng(5).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    cv2.imwrite(str(ground.canary), rgb)
    return ground


def refused(attack: Callable[[], object]) -> bool:
    """Run an attack; tell whether it was refused, in one line.

    Raises:
        AssertionError: The words of the refusal are several lines, or steer a terminal.
        Exception: What it raised, if that is no error for users.
    """
    told = None
    try:
        attack()
    except MedcolorError as error:
        told = str(error)
    assert told is None or told.isprintable(), ascii(told)
    return told is not None


def state(folder: Path) -> dict[str, object]:
    """Return all that a folder holds: bytes and times of files, where links lead, folders."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        key = str(path.relative_to(folder))
        if path.is_symlink():
            found[key] = str(path.readlink())
        elif path.is_dir():
            found[key] = None
        else:
            stat = path.stat()
            found[key] = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
    return found


_watched: list[str] = []
_touched: list[str] = []
_READS = ("open", "os.listdir", "os.scandir")
_ENTRIES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink")
"""Events about an entry of a folder: if that is a link, not about what it leads to."""

_CHANGES = ("os.truncate", "shutil.rmtree", "os.chmod", "os.utime")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched or event not in (*_READS, *_ENTRIES, *_CHANGES):
        return
    for path in arguments[: 1 if event in _READS else 2]:  # the second of open is its mode
        if isinstance(path, str | bytes | os.PathLike):
            head, tail = os.path.split(os.fsdecode(path).split("\0")[0])
            whole = os.path.join(os.path.realpath(head), tail)  # noqa: PTH118
            real = whole if event in _ENTRIES else os.path.realpath(whole)
            if any(real == root or real.startswith(f"{root}/") for root in _watched):
                _touched.append(f"{event} {real}")


sys.addaudithook(_hook)


@contextmanager
def untouched(*folders: Path) -> Iterator[None]:
    """Hold the block to it that it opens, changes, creates and deletes nothing in these folders.

    Raises:
        AssertionError: It did.
    """
    before = [state(folder) for folder in folders]
    with _seen_by_kernel(*folders) as seen:
        _watched.extend(os.path.realpath(folder) for folder in folders)
        try:
            yield
        finally:
            _watched.clear()
            told, by_python = seen(), sorted(set(_touched))
            _touched.clear()
    assert not by_python, by_python
    assert not told, told
    assert [state(folder) for folder in folders] == before


@contextmanager
def _seen_by_kernel(*folders: Path) -> Iterator[Callable[[], list[str]]]:
    """Yield a function that returns what was opened or changed in these folders; Linux alone."""
    if sys.platform != "linux":
        yield list
        return
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert handle >= 0, os.strerror(ctypes.get_errno())
    for folder in folders:
        for place in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
            # access, modify, attributes, open, moved, created, deleted
            assert libc.inotify_add_watch(handle, os.fsencode(place), 0xFE7) >= 0
    is_folder, header_bytes = 0x40000000, 16

    def seen() -> list[str]:
        try:
            events = os.read(handle, 1 << 16)
        except BlockingIOError:
            return []
        found = []
        while events:
            mask, size = (int.from_bytes(events[i : i + 4], sys.byteorder) for i in (4, 12))
            name = events[header_bytes : header_bytes + size].rstrip(b"\0").decode()
            if not (mask & is_folder and mask & 0x21):  # folders are looked through by `state`
                found.append(f"{mask:#x} {name}")
            events = events[header_bytes + size :]
        return found

    try:
        yield seen
    finally:
        os.close(handle)
