"""What can go wrong, said in one line: where, found against expected, remedy.

MedcolorError
    InputError      wrong use or unusable input; nothing was written (exit status 2)
        EmptyFrameError   a photograph that shows no body
    RunError        the run could not be finished; what is done is kept (exit status 1)
        DiskFullError     no room where something was to be written
"""

from __future__ import annotations


def printable(line: str) -> str:
    """Return a line in which characters that are not shown, or steer a terminal, are escapes."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)


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
