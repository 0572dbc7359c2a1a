"""Compressed pixels are decoded by processes that may die of them; this one never does."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from command import medcolor
from conftest import make_photographs, make_scan
from dicom_files import encode, opened, values_of, write_series, write_words

from medcolor.errors import InputError
from medcolor.volume import dicom_decode
from medcolor.volume.dicom_pixels import read_pixels
from medcolor.volume.dicom_slices import read_slices_of

SYNTAXES = {
    "JPEG2000Lossless": b"\xff\x4f\xff\x51",
    "JPEGLSLossless": b"\xff\xd8",
    "JPEGLosslessProcess14_1": b"\xff\xd8",
}
"""And how their code streams begin."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No children from tests before, and none left for those after."""
    pools = {}

    def pool_of(process):
        if process not in pools:
            pools[process] = dicom_decode._Pool()
        return pools[process]

    monkeypatch.setattr(dicom_decode, "_pool_of", pool_of)
    yield
    for pool in pools.values():
        pool._end()


@pytest.fixture
def compressed(tmp_path):
    """A file of one slice, and its words."""
    words = np.random.default_rng(1).integers(0, 2000, (32, 24)).astype("<u2")
    path = tmp_path / "one.dcm"
    write_words(path, 0, words)
    encode(path, "JPEG2000Lossless")
    return path, words


def read(path):
    (one,), _ = read_slices_of(path)
    return read_pixels(one)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_damaged_code_streams_are_one_line(tmp_path, syntax):
    """Some of these abort their codec, others are images all the same."""
    path = tmp_path / "one.dcm"
    write_words(path, 0, np.random.default_rng(0).integers(0, 2000, (32, 32)).astype("<u2"))
    encode(path, syntax)
    whole = path.read_bytes()
    begin = whole.index(SYNTAXES[syntax])
    for seed in range(120):
        random, content = np.random.default_rng(seed), bytearray(whole)
        for _ in range(random.integers(1, 4)):
            at = begin + int(random.integers(2, min(120, len(whole) - begin - 4)))
            content[at] = int(random.integers(0, 256))
        path.write_bytes(content)
        said = ""
        try:
            is_whole = read(path).shape == (32, 32)
        except InputError as error:
            said = str(error)
            is_whole = False
        assert is_whole or "unreadable DICOM pixels" in said


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("import os; os.abort()", f"signal {signal.SIGABRT:d}"),
        ("import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.SIGSEGV)",
         f"signal {signal.SIGSEGV:d}"),
        ("import sys; sys.stdin.readline(); sys.exit(3)", "status 3"),
    ],
)  # fmt: skip
def test_a_decoder_that_dies_costs_its_slice_and_says_how(monkeypatch, compressed, program, how):
    path, words = compressed
    with monkeypatch.context() as broken:
        broken.setattr(dicom_decode, "_program", lambda: program)
        for _ in range(2):
            with pytest.raises(InputError, match=f"ended their decoder \\({how}\\).*uncompressed"):
                read(path)
    np.testing.assert_array_equal(read(path), words)


@pytest.mark.parametrize(
    "answer",
    [
        "no answer",
        "{}",
        '{"shape": [32, 24], "dtype": "<u2"}\nshort',
        '{"shape": [1000000, 1000000], "dtype": "<u2"}',
        '{"shape": [-1, 24], "dtype": "<u2"}',
        '{"shape": [32, 24], "dtype": "O"}',
        "[1]",
    ],
)
def test_a_decoder_that_says_nonsense_counts_as_dead(monkeypatch, compressed, answer):
    path, words = compressed
    with monkeypatch.context() as broken:
        line = f"import sys; sys.stdin.readline(); sys.stdout.write({answer!r} + chr(10))"
        broken.setattr(dicom_decode, "_program", lambda: line)
        with pytest.raises(InputError, match="ended their decoder"):
            read(path)
    np.testing.assert_array_equal(read(path), words)


def test_a_decoder_that_never_answers_is_ended(monkeypatch, compressed):
    path, words = compressed
    with monkeypatch.context() as broken:
        broken.setattr(dicom_decode, "_program", lambda: "import time; time.sleep(10000)")
        broken.setattr(dicom_decode, "_PATIENCE_S", 0.05)
        with pytest.raises(InputError, match=f"signal {signal.SIGKILL:d}"):
            read(path)
    np.testing.assert_array_equal(read(path), words)


def test_one_decoder_serves_slice_after_slice_those_it_cannot_decode_too(compressed):
    path, words = compressed
    damaged = path.with_name("damaged.dcm")
    content = path.read_bytes()
    damaged.write_bytes(content[: content.index(SYNTAXES["JPEG2000Lossless"]) + 40])
    found = set()
    for _ in range(3):
        with pytest.raises(InputError):
            read(damaged)
        np.testing.assert_array_equal(read(path), words)
        (child,) = dicom_decode._pool_of(os.getpid())._idle
        found.add(child._process.pid)
    assert len(found) == 1


def test_threads_share_decoders_and_get_their_own_slices(tmp_path):
    stack = np.random.default_rng(1).integers(0, 2000, (12, 32, 24)).astype("<u2")
    (tmp_path / "in").mkdir()
    write_series(tmp_path / "in", stack)
    for path in (tmp_path / "in").iterdir():
        encode(path, "JPEGLSLossless")
    slices = [read_slices_of(tmp_path / "in" / f"{z}.dcm")[0][0] for z in range(12)]
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(read_pixels, slices * 4))
    np.testing.assert_array_equal(found, np.concatenate([stack] * 4))
    assert len(dicom_decode._pool_of(os.getpid())._idle) <= dicom_decode._MOST_CHILDREN


def test_what_was_forked_has_decoders_of_its_own(compressed):
    path, words = compressed
    np.testing.assert_array_equal(read(path), words)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if np.array_equal(read(path), words) else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    np.testing.assert_array_equal(read(path), words)


def test_decoders_end_with_the_process_that_they_serve(compressed):
    """However it ends: killed, it closes nothing itself."""
    path, _ = compressed
    program = f"""
import os, signal, sys
sys.path[:] = {sys.path!r}
from pathlib import Path
from medcolor.volume import dicom_decode
from medcolor.volume.dicom_pixels import PIXEL_TAGS
dicom_decode.words_by_child(Path({str(path)!r}), None, PIXEL_TAGS)
print(dicom_decode._pool_of(os.getpid())._idle[0]._process.pid, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for how in ("by itself", "killed"):
        done = subprocess.run(
            [sys.executable, "-c", program, how], capture_output=True, text=True, check=False
        )
        wait_until_gone(int(done.stdout))


def wait_until_gone(pid):
    for _ in range(1000):
        about = Path(f"/proc/{pid}/stat")
        if not about.exists() or about.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.03)
    pytest.fail("the decoder lives on")


def test_a_damaged_slice_ends_a_run_in_one_line_and_a_cohort_outlives_it(tmp_path):
    series = tmp_path / "series"
    series.mkdir()
    write_series(series, np.random.default_rng(1).integers(0, 2000, (4, 32, 24)).astype("<u2"))
    for path in series.iterdir():
        encode(path, "JPEGLSLossless")
    np.testing.assert_array_equal(values_of(opened(series)).shape, (4, 32, 24))
    damaged = (series / "2.dcm").read_bytes()
    begin = damaged.index(b"\xff\xd8")
    (series / "2.dcm").write_bytes(damaged[: begin + 20] + bytes(len(damaged) - begin - 20))
    photographs = make_photographs(tmp_path / "photographs", 4, 40)
    quick = ("--set", "features.working_size_px=32")
    done = medcolor("colorize", series, photographs, tmp_path / "o.ome.zarr", *quick)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "2.dcm: unreadable DICOM pixels (JPEG-LS" in done.stderr
    make_scan(tmp_path / "good.nii.gz", 4, 40)
    manifest = tmp_path / "cohort.yaml"
    good = f"{{name: good, target: {tmp_path / 'good.nii.gz'}}}"
    manifest.write_text(f"volumes: [{{name: bad, target: {series}}}, {good}]")
    done = medcolor("cohort", manifest, photographs, tmp_path / "cohort", *quick)
    assert "1 failed, 1 complete" in done.stdout
    assert (tmp_path / "cohort" / "good.ome.zarr").is_dir()
