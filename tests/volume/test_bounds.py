"""Hostile files: whatever a small file promises, reading it takes little memory.

Peaks are a child's own (VmHWM), whose address space is limited so that a fault harms nobody else.
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import nibabel as nib
import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from dicom_files import values_of

from medcolor.errors import InputError
from medcolor.volume.images import read_image
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

MIB = 1 << 20
BOMB = 1 << 30
"""Bytes that a part inflates to."""

MOST_PEAK_MIB = 1500
CHILD = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
from medcolor.errors import InputError
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings
settings = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))
for line in sys.stdin:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    found, volume = "read", None
    try:
        volume = open_volume(Path(line.strip()), settings, Path(sys.argv[1]))
        last = volume.geometry.shape[0] - 1
        for z in sorted({0, last // 2, last}):
            read_slice(volume, z, settings)
    except InputError as error:
        found = str(error)
    status = dict(line.split(":") for line in open("/proc/self/status"))
    print(json.dumps([found, int(status["VmHWM"].split()[0]) // 1024]), flush=True)
"""


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    """A process that reads what it is told, and says what came of it and its peak."""
    staging = str(tmp_path_factory.mktemp("staging"))
    command = [sys.executable, "-W", "ignore", "-c", CHILD, staging]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        yield one
        one.stdin.close()


def gzip_of_zeros(count: int, head: bytes = b"") -> bytes:
    """Return a gzip of a head and zeros, but for its checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin + block * (count // (16 * MIB) + 1) + packer.flush()


def nifti(shape: tuple[int, ...], dtype: type, axes: str = "xyz") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        header = nib.Nifti1Header()
        header.set_data_dtype(dtype)
        header.set_data_shape(shape)
        header.set_sform(np.eye(4)[["xyz".index(axis) for axis in axes] + [3]], 1)
        header.set_slope_inter(1.5, 2)
        header["vox_offset"], header["magic"] = 352, b"n+1"
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        path = folder / "scan.nii.gz"
        path.write_bytes(gzip_of_zeros(size, header.binaryblock + bytes(4)))
        return path

    return write


def mgz(folder: Path) -> Path:
    head = struct.pack(">7ih", 1, 8100, 8100, 2, 1, 0, 0, 0)
    (folder / "scan.mgz").write_bytes(gzip_of_zeros(2 * 8100**2, head.ljust(284, b"\0")))
    return folder / "scan.mgz"


def nrrd(
    sizes: str, encoding: str, body: Callable[[], bytes], more: str = ""
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        head = f"NRRD0005\ntype: uint8\ndimension: 3\nsizes: {sizes}\nspacings: 1 1 1\n{more}"
        path = folder / "scan.nrrd"
        path.write_bytes(f"{head}encoding: {encoding}\n\n".encode() + body())
        return path

    return write


def bzip2_of_zeros() -> bytes:
    return bz2.compress(bytes(16 * MIB)) * 8


ZEROS = {
    "zstd": lambda: numcodecs.Zstd(1).encode(np.zeros(BOMB, np.uint8)),
    "blosc": lambda: numcodecs.Blosc("zstd", 1).encode(np.zeros(BOMB, np.uint8)),
    "lz4": lambda: numcodecs.LZ4().encode(np.zeros(BOMB, np.uint8)),
    "gzip": lambda: gzip_of_zeros(BOMB),
    "zlib": lambda: b"\x78\x9c" + gzip_of_zeros(BOMB)[10:],
    "bz2": lambda: bz2.compress(bytes(256 * MIB)),
    "lzma": lambda: lzma.compress(bytes(256 * MIB), preset=0),
}


def image_of(folder: Path, version: int, **array: object) -> Path:
    """Write the metadata of an OME-Zarr image of one array."""
    path = folder / "scan.zarr"
    (path / "0").mkdir(parents=True)
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [1, 1, 1]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    about = {"multiscales": [image]}
    if version == 2:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(about))
        both = {"zarr_format": 2, "dtype": "|u1", "fill_value": 0, "order": "C", "filters": None}
        (path / "0" / ".zarray").write_text(json.dumps({**both, **array}))
    else:
        both = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": about}}
        (path / "zarr.json").write_text(json.dumps(both))
        both = {
            "zarr_format": 3, "node_type": "array", "data_type": "uint8", "fill_value": 0,
            "chunk_key_encoding": {"name": "default"}, "attributes": {},
        }  # fmt: skip
        (path / "0" / "zarr.json").write_text(json.dumps({**both, **array}))
    return path


def zarr_2(
    shape: list[int], chunks: list[int], codec: str | None = None, **more: object
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        compressor = {"id": codec} if codec else None
        path = image_of(folder, 2, shape=shape, chunks=chunks, compressor=compressor, **more)
        if codec:
            (path / "0" / "0.0.0").write_bytes(ZEROS[codec]())
        return path

    return write


def zarr_3(codec: str, wrap: Callable[[list[object]], list[object]]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        how = {"zstd": {"level": 1, "checksum": False}, "gzip": {"level": 1}}
        how["blosc"] = {
            "typesize": 1,
            "cname": "zstd",
            "clevel": 1,
            "shuffle": "noshuffle",
            "blocksize": 0,
        }
        codecs = wrap([{"name": "bytes"}, {"name": codec, "configuration": how[codec]}])
        grid = {"name": "regular", "configuration": {"chunk_shape": [4, 64, 64]}}
        path = image_of(folder, 3, shape=[4, 64, 64], chunk_grid=grid, codecs=codecs)
        chunk = path / "0" / "c" / "0" / "0" / "0"
        chunk.parent.mkdir(parents=True)
        content = ZEROS[codec]()
        index = np.array([0, len(content)] * 4, "<u8").tobytes()
        chunk.write_bytes(content + (index if codecs[0]["name"] == "sharding_indexed" else b""))
        return path

    return write


def sharded(codecs: list[object]) -> list[object]:
    index = [{"name": "bytes", "configuration": {"endian": "little"}}]
    how = {"chunk_shape": [1, 64, 64], "codecs": codecs, "index_codecs": index}
    return [{"name": "sharding_indexed", "configuration": how}]


def long_metadata(folder: Path) -> Path:
    path = zarr_2([4, 64, 64], [1, 64, 64])(folder)
    (path / ".zattrs").write_text('{"a": [' + "{}," * 3_000_000 + "{}]}")
    return path


def deep_metadata(folder: Path) -> Path:
    path = zarr_2([4, 64, 64], [1, 64, 64])(folder)
    (path / ".zattrs").write_text("[" * 1_000_000 + "]" * 1_000_000)
    return path


def png(rows: int, cols: int) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">2I5B", cols, rows, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(bytes(cols + 1)) for _ in range(rows)) + packer.flush()
    parts = part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def two_of(suffix: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for number in range(2):
            (folder / f"{number}{suffix}").write_bytes(content())
        return folder

    return write


def jpeg(side: int) -> bytes:
    return cv2.imencode(".jpg", np.zeros((side, side, 3), np.uint8))[1].tobytes()


def tiff_of(
    data: Callable[[], bytes], compression: int, side: int = 64, **tags: int
) -> Callable[[Path], Path]:
    """Write two pages that share one strip (or tile)."""

    def write(folder: Path) -> Path:
        content = data()
        known = {
            256: side, 257: side, 258: 8, 259: compression, 262: 1, 273: 0, 277: 1, 278: side,
            279: len(content),
        } | {int(tag.removeprefix("t")): value for tag, value in tags.items()}  # fmt: skip
        length = 2 + 12 * len(known) + 4
        begin = 8 + 2 * length
        for tag in (273, 324):
            if tag in known:
                known[tag] = begin
        file = io.BytesIO()
        file.write(b"II*\0" + struct.pack("<I", 8))
        for following in (8 + length, 0):
            file.write(struct.pack("<H", len(known)))
            for tag, value in sorted(known.items()):
                file.write(struct.pack("<2H2I", tag, 4, 1, value))
            file.write(struct.pack("<I", following))
        (folder / "scan.tif").write_bytes(file.getvalue() + content)
        return folder / "scan.tif"

    return write


def tiff(stack: Callable[[], np.ndarray], **how: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        described = {"photometric": "minisblack", "metadata": None, "maxworkers": 1, **how}
        tifffile.imwrite(folder / "scan.tif", stack(), **described)
        return folder / "scan.tif"

    return write


def entities() -> str:
    """Return XML that expands ten thousand million times."""
    steps = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    head = f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a0 "a">{steps}]>'
    return f'{head}<OME xmlns="{schema}">&a10;</OME>'


READ = "read"
DAMAGED = "damaged|unreadable|no readable"
NUMBERS = "thicknesses: " + "1 " * 4_000_000 + "\n"
CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "NIfTI, gzip of 4 GB": (nifti((512, 512, 8000), np.int16), "would unpack to"),
    "NIfTI, a large slice": (nifti((8100, 8100, 2), np.uint8), READ),
    "NIfTI, a larger slice": (nifti((8300, 8300, 2), np.uint8), "a slice may have"),
    "NIfTI, a slice of doubles": (nifti((7000, 7000, 1), np.float64), READ),
    "NIfTI, a larger slice of doubles": (nifti((9000, 9000, 2), np.float64), "a slice may have"),
    "NIfTI, slices across all of it": (nifti((10, 5000, 5000), np.float32, "zyx"), READ),
    "NIfTI, thin": (nifti((4, 4, 10000), np.uint8), READ),
    "MGH, a large slice": (mgz, READ),
    "NRRD, gzip": (nrrd("2000 2000 1000", "gzip", lambda: gzip_of_zeros(2**28)), "would unpack to"),
    "NRRD, bzip2": (nrrd("2000 2000 1000", "bzip2", bzip2_of_zeros), "would unpack to"),
    "NRRD, more behind": (nrrd("300 300 300", "bzip2", bzip2_of_zeros), READ),
    "NRRD, a long field": (nrrd("4 4 4", "raw", lambda: bytes(64), NUMBERS), READ),
    **{f"Zarr 2, {one}": (zarr_2([4, 64, 64], [1, 64, 64], one), DAMAGED) for one in ZEROS},
    "Zarr 2, filters": (
        zarr_2([4, 64, 64], [1, 64, 64], filters=[{"id": "gzip"}]),
        "expected one of delta",
    ),
    "Zarr 2, a huge chunk": (zarr_2([99, 99, 99], [4096] * 3, "zstd"), "in one"),
    "Zarr 2, a large chunk": (zarr_2([250, 1000, 1000], [260, 1000, 1000]), READ),
    "Zarr 2, tiny chunks": (zarr_2([4, 9000, 9000], [1, 1, 1]), "a slice"),
    "Zarr 2, absent": (zarr_2([6000, 8000, 8000], [1, 1024, 1024]), "would unpack to"),
    "Zarr 2, large slices": (zarr_2([9, 8300, 8300], [1, 1024, 1024]), "a slice may have"),
    "Zarr, long metadata": (long_metadata, "bytes of metadata"),
    "Zarr, deep metadata": (deep_metadata, "no JSON"),
    **{f"Zarr 3, {one}": (zarr_3(one, list), DAMAGED) for one in ("zstd", "gzip", "blosc")},
    "Zarr 3, twice": (zarr_3("zstd", lambda codecs: [*codecs, codecs[1]]), DAMAGED),
    "Zarr 3, in a shard": (zarr_3("zstd", sharded), DAMAGED),
    "Zarr 3, around shards": (
        zarr_3("zstd", lambda codecs: [*sharded(codecs), codecs[1]]),
        "shards within other codecs",
    ),
    "PNG, 1e9 pixels": (two_of(".png", lambda: png(32000, 32000)), "pixels"),
    "PNG, 7e7 pixels": (two_of(".png", lambda: png(8100, 8100)), READ),
    "JPEG, 7e7 pixels": (two_of(".jpg", lambda: jpeg(8100)), READ),
    "TIFF, zstd": (tiff_of(ZEROS["zstd"], 50000), DAMAGED),
    "TIFF, deflate": (tiff_of(ZEROS["zlib"], 8), DAMAGED),
    "TIFF, LZMA": (tiff_of(ZEROS["lzma"], 34925), READ),
    "TIFF, JPEG": (tiff_of(lambda: jpeg(8100), 7), "larger than its place"),
    "TIFF, JPEG 2000": (
        tiff_of(lambda: imagecodecs.jpeg2k_encode(np.zeros((4000, 4000), "u1"), level=1), 34712),
        "larger than its place",
    ),
    "TIFF, JPEG XL": (
        tiff_of(lambda: imagecodecs.jpegxl_encode(np.zeros((4000, 4000), "u1")), 50002),
        "compressed by JPEGXL",
    ),
    "TIFF, a huge tile": (
        tiff_of(lambda: bytes(999), 8, t322=65536, t323=65536, t324=0, t325=999),
        "tiles of",
    ),
    "TIFF, a large page": (
        tiff(lambda: np.zeros((2, 8100, 8100), np.uint8), compression="zstd"),
        READ,
    ),
    "TIFF, a larger page": (
        tiff(lambda: np.zeros((2, 8300, 8300), np.uint8), compression="zstd"),
        "a slice may have",
    ),
    "TIFF, a volumetric page": (
        tiff(
            lambda: np.zeros((512, 1024, 1024), np.uint8),
            volumetric=True, tile=(64, 256, 256), compression="zstd",
        ),
        READ,
    ),
    "TIFF, many pages": (tiff(lambda: np.zeros((20000, 4, 4), np.uint8)), READ),
    "TIFF, entities": (tiff(lambda: np.zeros((2, 4, 4), np.uint8), description=entities()), "|"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if number % 3 else ())
        for number, name in enumerate(CASES)
    ],
)
def test_no_small_file_takes_much_memory(name, tmp_path, child):
    write, outcome = CASES[name]
    path = write(tmp_path)
    assert sum(one.stat().st_size for one in tmp_path.rglob("*") if one.is_file()) < 13e6
    child.stdin.write(f"{path}\n")
    child.stdin.flush()
    found, peak = json.loads(child.stdout.readline())
    assert peak < MOST_PEAK_MIB, (found, peak)
    if outcome == READ:
        assert found == READ
    else:
        assert any(words in found for words in outcome.split("|")), found
        assert "\n" not in found


@pytest.mark.parametrize("content", [png(32000, 32000), png(8300, 8300)], ids=["1e9", "7e7"])
def test_a_photograph_of_too_many_pixels_is_refused_by_its_header(tmp_path, content):
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(InputError, match=r"pixels"):
        read_image(tmp_path / "1.png")


STACK = np.random.default_rng(1).integers(0, 999, (5, 40, 30)).astype(np.int16)


@pytest.mark.parametrize(
    "compressor",
    [
        None,
        *(
            numcodecs.Blosc(name, 5, shuffle)
            for name in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
            for shuffle in (0, 1, 2)
        ),
        numcodecs.Zstd(3),
        numcodecs.GZip(6),
        numcodecs.Zlib(6),
        numcodecs.BZ2(6),
        numcodecs.LZMA(),
        numcodecs.LZ4(),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "filters", [None, [numcodecs.Delta("<i2")], [numcodecs.Shuffle(2)]], ids=str
)
def test_chunks_of_zarr_2_are_what_zarr_reads(tmp_path, compressor, filters):
    path = image_of(tmp_path, 2, shape=[1, 1, 1], chunks=[1, 1, 1], compressor=None)
    how = {"filters": filters, "compressors": compressor, "zarr_format": 2, "overwrite": True}
    zarr.create_array(str(path / "0"), data=STACK, chunks=(2, 16, 16), **how)
    np.testing.assert_array_equal(zarr.open_array(str(path / "0"), mode="r")[:], STACK)
    volume = open_volume(path, VolumeSettings(), tmp_path)
    np.testing.assert_array_equal(values_of(volume), STACK)


@pytest.mark.parametrize("shards", [None, (4, 32, 32)])
@pytest.mark.parametrize(
    "compressors",
    [
        None,
        zarr.codecs.ZstdCodec(),
        zarr.codecs.GzipCodec(),
        zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle"),
        [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()],
        [zarr.codecs.Crc32cCodec(), zarr.codecs.GzipCodec()],
    ],
    ids=["none", "zstd", "gzip", "blosc", "zstd crc", "crc gzip"],
)
def test_chunks_of_zarr_3_are_what_zarr_reads(tmp_path, compressors, shards):
    grid = {"name": "regular", "configuration": {"chunk_shape": [1, 1, 1]}}
    path = image_of(tmp_path, 3, shape=[1, 1, 1], chunk_grid=grid, codecs=[{"name": "bytes"}])
    zarr.create_array(
        str(path / "0"), data=STACK, chunks=(2, 16, 16), shards=shards, compressors=compressors,
        filters=zarr.codecs.TransposeCodec(order=(2, 0, 1)), overwrite=True,
    )  # fmt: skip
    np.testing.assert_array_equal(zarr.open_array(str(path / "0"), mode="r")[:], STACK)
    volume = open_volume(path, VolumeSettings(), tmp_path)
    np.testing.assert_array_equal(values_of(volume), STACK)
