"""What can go wrong, said in one line: where, found against expected, remedy.

MedcolorError
    InputError      wrong use or unusable input; nothing was written (exit status 2)
        EmptyFrameError   a photograph that shows no body
    RunError        the run could not be finished; what is done is kept (exit status 1)
        DiskFullError     no room where something was to be written
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

_BYTES = range(0xDC80, 0xDD00)
"""Characters that Python has for bytes of names that are no UTF-8."""


def printable(line: str) -> str:
    """Return a line in which characters that are not shown, or steer a terminal, are escapes."""
    return "".join(one if one.isprintable() else _escaped(one) for one in line)


def _escaped(one: str) -> str:
    return f"\\x{ord(one) - 0xDC00:02x}" if ord(one) in _BYTES else ascii(one)[1:-1]


def some_of(names: Sequence[str], most: int) -> str:
    """Return the first names in a line, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class MedcolorError(Exception):
    """Base of every error a user is meant to read."""

    exit_status = 1

    def __init__(self, place: object, problem: str, remedy: str) -> None:
        """Keep the three parts in `args`, so that the error survives pickling by Ray."""
        super().__init__(str(place), problem, remedy)

    def __str__(self) -> str:
        """Join the parts into one line; characters that are not shown appear as escapes."""
        place, problem, remedy = self.args
        return printable(" ".join(f"{place}: {problem}. {remedy}.".split()))


class InputError(MedcolorError):
    """Wrong use, or input that cannot be used."""

    exit_status = 2


class EmptyFrameError(InputError):
    """A photograph that shows no body; a library may hold some."""


class RunError(MedcolorError):
    """A run that stopped before its end; finished parts are kept and resumed."""


class DiskFullError(RunError):
    """No room; another node may have some."""


_OF_NAMES = {
    errno.ENAMETOOLONG: "Give a shorter name",
    errno.ELOOP: "Give a path whose links lead somewhere",
    errno.ENOENT: "Check the path",
    errno.ENOTDIR: "Check the path: a part of it is no folder",
    errno.EISDIR: "Give a file",
    errno.EACCES: "Ask for permission, or name another place",
    errno.EPERM: "Ask for permission, or name another place",
    errno.EROFS: "Name a place that can be written",
}
"""What a user can do about what the system says of a path."""


def of_system(error: OSError) -> MedcolorError:
    """Return what the system said as an error that a user can read."""
    place = error.filename if error.filename is not None else "this machine"
    problem = error.strerror or type(error).__name__
    if isinstance(place, bytes):
        place = place.decode(errors="surrogateescape")
    if error.errno in _OF_NAMES:
        return InputError(place, problem, _OF_NAMES[error.errno])
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(place, problem, "Make room, and begin again: what is done is kept")
    return RunError(place, problem, "Begin again: what is done is kept")
