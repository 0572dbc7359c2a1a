"""Stored words of DICOM files; compressed ones are decoded by processes that may die of them.

Codecs for medical images (GDCM's, OpenJPEG) are native code, and damaged or hostile pixels end the
process that runs them. So they run in children, which live as long as this process and answer one
request after the other. A child that dies, or does not answer, costs the slice that it was given.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

from medcolor.volume.bounds import MOST_PIXELS
from medcolor.volume.dicom_file import read_fields, reading_quietly

_PATIENCE_S = 120.0
"""For one slice. The slowest of codecs takes seconds for the largest of slices."""

_MOST_CHILDREN = 8


_MOST_WORDS = 4 * MOST_PIXELS
"""Of an answer: of RGB and alpha at most."""


class DecoderDiedError(Exception):
    """The child that was to decode is no more, or cannot be; the text ends a sentence on pixels."""


class NotDecodedError(Exception):
    """The child could not decode it, and lives on."""


def stored_words(path: Path, frame: int | None, tags: list[str]) -> NDArray[Any]:
    """Decode a file of one slice, or one frame of several, in this process.

    Args:
        path: Of the file.
        frame: Counted from 0; None of a file of one.
        tags: Fields that decoding asks for.

    Raises:
        Exception: Whatever a decoder raises.
    """
    with reading_quietly():
        # Of many frames the one alone is read, unless the file lacks its preamble. A file of one
        # is decoded outside the lock.
        if frame is not None and read_fields(path, tags, with_pixels=False).preamble:
            return np.asarray(pixel_array(path, index=frame, correct_unused_bits=False))
        data = read_fields(path, tags, with_pixels=True)
    return np.asarray(pixel_array(data, index=frame, correct_unused_bits=False))


def words_by_child(path: Path, frame: int | None, tags: list[str]) -> NDArray[Any]:
    """Decode as `stored_words` does, in another process.

    Raises:
        DecoderDiedError: It died of this file, or did not answer in time.
        NotDecodedError: It could not decode it.
    """
    return _pool_of(os.getpid()).decode(path, frame, tags)


class _Child:
    """One process that decodes."""

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _program()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a key that interrupts this process does not end it
            )
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise DecoderDiedError(f"whose decoder cannot be started ({why})") from error

    def decode(self, path: Path, frame: int | None, tags: list[str]) -> NDArray[Any]:
        """Hand a request over and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = json.dumps({"path": str(path.absolute()), "frame": frame, "tags": tags})
        watch = threading.Timer(_PATIENCE_S, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            self._process.stdin.write(f"{request}\n".encode())
            self._process.stdin.flush()
            return _read_answer(self._process.stdout)
        except (EOFError, OSError, ValueError, TypeError, KeyError) as error:
            self._process.kill()
            raise DecoderDiedError(self._ended()) from error
        finally:
            watch.cancel()

    def _ended(self) -> str:
        """Return in words how the process ended."""
        status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"which ended their decoder ({how})"

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was to be written reaches nobody
                    pipe.close()


class _Pool:
    """Children that wait for work; as many as decode at once."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._turns = threading.BoundedSemaphore(_MOST_CHILDREN)
        self._owner = os.getpid()
        atexit.register(self._end)

    def decode(self, path: Path, frame: int | None, tags: list[str]) -> NDArray[Any]:
        with self._turns:
            try:
                child = self._idle.pop()
            except IndexError:
                child = _Child()
            try:
                words = child.decode(path, frame, tags)
            except NotDecodedError:  # an answer, too
                self._idle.append(child)
                raise
            except BaseException:
                child.end()
                raise
            self._idle.append(child)
            return words

    def _end(self) -> None:
        if os.getpid() == self._owner:  # a fork of this process has these children, too
            while self._idle:
                self._idle.pop().end()


@lru_cache(maxsize=1)
def _pool_of(_process: int) -> _Pool:
    """Return the children of this process, and of no other that it was forked from."""
    return _Pool()


def _read_answer(pipe: Any) -> NDArray[Any]:
    """Read a line that says what follows, and the words."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    about = json.loads(line)
    if about is None:
        raise NotDecodedError
    if math.prod(about["shape"]) > _MOST_WORDS:
        raise EOFError  # a child that native code has damaged says anything
    words = np.empty(about["shape"], about["dtype"])
    if pipe.readinto(words.reshape(-1).view(np.uint8)) != words.nbytes:
        raise EOFError
    return words


def _program() -> str:
    """Return what a child runs: with this process's path it finds the modules that this one has."""
    return f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"


def serve() -> None:
    """Answer requests from standard input on standard output until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # codecs print
    for line in sys.stdin.buffer:
        _answer(answers, **json.loads(line))


def _answer(answers: BinaryIO, path: str, frame: int | None, tags: list[str]) -> None:
    try:
        words = np.ascontiguousarray(stored_words(Path(path), frame, tags))
    except Exception:  # decoders raise what they like
        answers.write(b"null\n")
    else:
        about = {"dtype": words.dtype.str, "shape": words.shape}
        answers.write(f"{json.dumps(about)}\n".encode())
        answers.write(words.data)
    answers.flush()
