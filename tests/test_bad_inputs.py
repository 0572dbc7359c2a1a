"""What users give by mistake or malice: one line, status 2, nothing written, no traceback."""

from __future__ import annotations

import gzip
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import cv2
import ncompress
import nibabel as nib
import numpy as np
import pytest
import tifffile
import zarr
from conftest import make_photographs
from dicom_files import write_dicom

from medcolor.cli import main

SPACING = ("--set", "volume.spacing_mm=[1,1,1]")
VOXELS = np.arange(8 * 9 * 7, dtype=np.int16).reshape(8, 9, 7)


def nifti(folder: Path, **fields: object) -> Path:
    """Write a NIfTI whose header then lies."""
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image(VOXELS, np.diag([1, 1, 1, 1])), path)
    whole = bytearray(path.read_bytes())
    for offset, (layout, *values) in fields.items():
        struct.pack_into(layout, whole, int(offset.removeprefix("at")), *values)
    path.write_bytes(whole)
    return path


def raw(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def series(folder: Path, at=(0, 1, 2, 3), **changes: object) -> Path:
    for number, z in enumerate(at):
        write_dicom(folder / f"{number}.dcm", z, VOXELS[number], **changes)
    return folder


def one_of_a_series(folder: Path, damage) -> Path:
    series(folder)
    path = folder / "2.dcm"
    path.write_bytes(damage(path.read_bytes()))
    return folder


def mixed_series(folder: Path) -> Path:
    series(folder)
    write_dicom(folder / "9.dcm", 4, np.zeros((5, 5)))
    return folder


def nrrd(folder: Path, lines: str, voxels: bytes = b"") -> Path:
    head = f"NRRD0004\ntype: int16\n{lines}\n\n"
    return raw(folder, "scan.nrrd", head.encode() + voxels)


SIZES = "dimension: 3\nsizes: 7 9 8\nendian: little\nspacings: 1 1 1\n"


def png(rows: int, cols: int) -> bytes:
    """Return a PNG whose header promises more than its body has."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">2I5B", cols, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def archive(folder: Path, **members: bytes) -> Path:
    path = folder / "scan.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def encrypted(folder: Path) -> Path:
    path = archive(folder, a=b"content")
    whole = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(magic) + offset] |= 1
    path.write_bytes(whole)
    return path


def linked_archive(folder: Path) -> Path:
    path = folder / "scan.zip"
    with zipfile.ZipFile(path, "w") as made:
        entry = zipfile.ZipInfo("link.png")
        entry.external_attr = 0o120777 << 16
        made.writestr(entry, "/etc/passwd")
    return path


def ome_zarr(folder: Path, attributes: str) -> Path:
    path = folder / "scan.ome.zarr"
    path.mkdir()
    raw(path, "zarr.json", attributes.encode())
    return path


def genesis_folder(folder: Path, content: bytes) -> Path:
    for number in (1001, 1002):
        raw(folder, f"c_vm{number}.fro", content)
    return folder


def loop(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "scan.nii")
    return folder / "scan.nii"


def pages(folder: Path, count: int) -> Path:
    path = folder / "scan.tif"
    tifffile.imwrite(path, np.zeros((count, 20, 20), np.uint8), photometric="minisblack")
    return path


def circle_of_pages(folder: Path) -> Path:
    """The last page points back to the second."""
    path = pages(folder, 3)
    whole = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        second, last = file.pages[1].offset, file.pages[2].offset
    (count,) = struct.unpack_from("<H", whole, last)
    struct.pack_into("<I", whole, last + 2 + 12 * count, second)
    path.write_bytes(whole)
    return path


def images(folder: Path, *contents: bytes) -> Path:
    for number, content in enumerate(contents):
        raw(folder, f"{number}.png", content)
    return folder


def nan_voxels(folder: Path) -> Path:
    voxels = VOXELS.astype(np.float32)
    voxels[:, :, 3] = np.nan
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / "scan.nii")
    return folder / "scan.nii"


def one_value(folder: Path) -> Path:
    nib.save(nib.Nifti1Image(np.ones_like(VOXELS), np.eye(4)), folder / "scan.nii")
    return folder / "scan.nii"


def of_type(folder: Path, dtype) -> Path:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), dtype), np.eye(4)), folder / "scan.nii")
    return folder / "scan.nii"


def four_d(folder: Path) -> Path:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.int16), np.eye(4)), folder / "scan.nii")
    return folder / "scan.nii"


def half_a_pair(folder: Path) -> Path:
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), folder / "scan.hdr")
    (folder / "scan.img").unlink()
    return folder / "scan.hdr"


def wrong_checksum(folder: Path) -> Path:
    whole = bytearray(gzip.compress(nifti(folder).read_bytes()))
    whole[-6] ^= 1
    return raw(folder, "t.nii.gz", bytes(whole))


def palette(folder: Path) -> Path:
    colors = np.zeros((3, 256), np.uint16)
    for number in range(3):
        page = np.full((9, 9), number, np.uint8)
        tifffile.imwrite(
            folder / "t.tif", page, photometric="palette", colormap=colors, append=number > 0
        )
    return folder / "t.tif"


def planar(folder: Path) -> Path:
    stored = np.zeros((3, 3, 9, 9), np.uint8)
    tifffile.imwrite(folder / "t.tif", stored, photometric="rgb", planarconfig="separate")
    return folder / "t.tif"


def pages_in_a_folder(folder: Path) -> Path:
    pages(folder, 3).rename(folder / "1.tif")
    cv2.imwrite(str(folder / "2.tif"), np.zeros((9, 9), np.uint8))
    return folder


def damaged_chunk(folder: Path, version: int) -> Path:
    group = zarr.open_group(str(folder / "a.zarr"), mode="w", zarr_format=version)
    group.create_array("0", data=np.random.default_rng(0).integers(0, 99, (4, 9, 9)).astype("i2"))
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    image = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    group.attrs.update(
        {"ome": {"multiscales": [image]}} if version == 3 else {"multiscales": [image]}
    )
    chunks = [p for p in (folder / "a.zarr" / "0").rglob("*") if p.is_file() and p.suffix == ""]
    chunks = [p for p in chunks if not p.name.startswith(".")] or chunks
    for path in chunks:
        path.write_bytes(b"nonsense" * 9)
    return folder / "a.zarr"


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
GOOD_PNG = cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()

CASES = {
    "absent": lambda f: f / "absent.nii",
    "absent, not ASCII": lambda f: f / "größe-医.nii",
    "empty folder": lambda f: f,
    "zero bytes": lambda f: raw(f, "scan.nii", b""),
    "text": lambda f: raw(f, "scan.nii", b"no scan\n" * 100),
    "unknown kind": lambda f: raw(f, "scan.xyz", bytes(range(256)) * 4),
    "NIfTI: wrong magic": lambda f: nifti(f, at344=("4s", b"n+9\0")),
    "NIfTI: truncated": lambda f: raw(f, "t.nii", nifti(f).read_bytes()[:600]),
    "NIfTI: only a header's half": lambda f: raw(f, "t.nii", nifti(f).read_bytes()[:200]),
    "NIfTI: negative dimension": lambda f: nifti(f, at42=("<h", -8)),
    "NIfTI: no slices": lambda f: nifti(f, at46=("<h", 0)),
    "NIfTI: huge dimensions": lambda f: nifti(f, at42=("<3h", 32767, 32767, 32767)),
    "NIfTI: seventeen dimensions": lambda f: nifti(f, at40=("<h", 17)),
    "NIfTI: two dimensions": lambda f: nifti(f, at40=("<h", 2)),
    "NIfTI: unknown type": lambda f: nifti(f, at70=("<h", 9999)),
    "NIfTI: voxels begin nowhere": lambda f: nifti(f, at108=("<f", float("nan"))),
    "NIfTI: voxels begin before the file": lambda f: nifti(f, at108=("<f", -400.0)),
    "NIfTI: singular axes": lambda f: nifti(f, at280=("<12f", *(0.0,) * 12)),
    "NIfTI: axes that are no numbers": lambda f: nifti(f, at280=("<f", float("nan"))),
    "NIfTI: complex": lambda f: of_type(f, np.complex64),
    "NIfTI: colours": lambda f: of_type(f, RGB),
    "NIfTI: several volumes": four_d,
    "NIfTI: header without its voxels": half_a_pair,
    "NIfTI: NaN": nan_voxels,
    "NIfTI: one value": one_value,
    "NIfTI-2: header cut": lambda f: raw(
        f, "t.nii", nib.Nifti2Image(VOXELS, np.eye(4)).to_bytes()[:447]
    ),
    "gzip: cut": lambda f: raw(f, "t.nii.gz", gzip.compress(nifti(f).read_bytes(), 0)[:600]),
    "gzip: wrong checksum": wrong_checksum,
    "gzip: garbage": lambda f: raw(f, "t.nii.gz", b"\x1f\x8b" + bytes(range(200))),
    "gzip: of nothing": lambda f: raw(f, "t.nii.gz", gzip.compress(b"")),
    "gzip: header promises more": lambda f: raw(
        f, "t.nii.gz", gzip.compress(nifti(f, at42=("<3h", 900, 900, 900)).read_bytes())
    ),
    "DICOM: gap": lambda f: series(f, (0, 1, 2, 9)),
    "DICOM: doubled": lambda f: series(f, (0, 1, 1, 2)),
    "DICOM: one slice": lambda f: series(f, (0,)),
    "DICOM: sizes differ": mixed_series,
    "DICOM: file cut in its header": lambda f: one_of_a_series(f, lambda b: b[:400]),
    "DICOM: pixels cut": lambda f: one_of_a_series(f, lambda b: b[:-60]),
    "DICOM: no spacing": lambda f: series(f, PixelSpacing=[0, 0]),
    "DICOM: directions of no length": lambda f: series(
        f, ImageOrientationPatient=[0, 0, 0, 0, 0, 0]
    ),
    "DICOM: huge": lambda f: series(f, Rows=65000, Columns=65000),
    "DICOM: colours": lambda f: series(f, PhotometricInterpretation="RGB", SamplesPerPixel=3),
    "DICOM: tilted": lambda f: series(
        f, ImageOrientationPatient=[1, 0, 0, 0, 0.94, 0.342], PixelSpacing=[1, 1]
    ),
    "DICOM: unknown kind of value": lambda f: one_of_a_series(
        f, lambda b: b.replace(struct.pack("<2H", 0x28, 0x30) + b"DS", b"\x28\0\x30\0\x53\xd1")
    ),
    "zip: a file without a name": lambda f: raw(
        f, "t.zip", archive(f, named=b"content").read_bytes().replace(b"named", b"\0amed")
    ),
    "zip: cut": lambda f: raw(f, "t.zip", archive(f, a=bytes(9999)).read_bytes()[:60]),
    "zip: without files": archive,
    "zip: bomb": lambda f: archive(f, a=bytes(300 << 20)),
    "zip: encrypted": encrypted,
    "zip: a link": linked_archive,
    "zip: no slices": lambda f: archive(f, a=b"text", b=b"text"),
    "NRRD: no header": lambda f: raw(f, "scan.nrrd", b"NRRD0004\nnonsense\n\n"),
    "NRRD: truncated": lambda f: nrrd(f, SIZES + "encoding: raw", bytes(100)),
    "NRRD: gzip cut": lambda f: nrrd(f, SIZES + "encoding: gzip", gzip.compress(bytes(1008))[:20]),
    "NRRD: other folder": lambda f: nrrd(f, SIZES + "encoding: raw\ndata file: ../../secret.raw"),
    "NRRD: unknown encoding": lambda f: nrrd(f, SIZES + "encoding: hex", b"00" * 1008),
    "NRRD: four dimensions": lambda f: nrrd(
        f, "dimension: 4\nsizes: 2 2 2 2\nendian: little\nencoding: raw", bytes(32)
    ),
    "NRRD: negative": lambda f: nrrd(
        f, "dimension: 3\nsizes: -7 9 8\nendian: little\nspacings: 1 1 1\nencoding: raw", bytes(999)
    ),
    "TIFF: cut": lambda f: raw(f, "t.tif", pages(f, 4).read_bytes()[:60]),
    "TIFF: pages in a circle": circle_of_pages,
    "TIFF: palette": palette,
    "TIFF: planar": planar,
    "TIFF: one page": lambda f: pages(f, 1),
    "images: zero bytes": lambda f: images(f, GOOD_PNG, b""),
    "images: no image": lambda f: images(f, GOOD_PNG, b"\x89PNG\r\n\x1a\nnonsense"),
    "images: bomb": lambda f: images(f, png(60000, 60000), png(60000, 60000)),
    "images: sizes differ": lambda f: images(f, GOOD_PNG, png(30, 30)),
    "images: bits differ": lambda f: images(
        f, GOOD_PNG, cv2.imencode(".png", np.zeros((9, 9), np.uint16))[1].tobytes()
    ),
    "images: pages in one of them": pages_in_a_folder,
    "images: body missing": lambda f: images(f, GOOD_PNG[:-20], GOOD_PNG),
    "OME-Zarr: no JSON": lambda f: ome_zarr(f, "{"),
    "OME-Zarr: damaged chunks, version 2": lambda f: damaged_chunk(f, 2),
    "OME-Zarr: damaged chunks, version 3": lambda f: damaged_chunk(f, 3),
    "OME-Zarr: no image": lambda f: ome_zarr(f, '{"zarr_format": 3, "node_type": "group"}'),
    "OME-Zarr: array missing": lambda f: ome_zarr(
        f,
        '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"multiscales": [{"axes": '
        '[], "datasets": [{"path": "../../x"}]}]}}}',
    ),
    "Genesis: wrong magic": lambda f: genesis_folder(f, b"FGMI" + bytes(range(256)) * 99),
    "Genesis: cut": lambda f: genesis_folder(
        f, b"IMGF" + struct.pack(">5I", 3416, 512, 512, 16, 1) + bytes(200)
    ),
    "Genesis: all empty": lambda f: genesis_folder(f, b""),
    "Genesis: .Z of garbage": lambda f: genesis_folder(f, b"\x1f\x9d\x90" + bytes(range(250))),
    "Genesis: .Z bomb": lambda f: genesis_folder(f, ncompress.compress(bytes(40 << 20))),
    "symlink loop": loop,
    "fifo": fifo,
    "address of the web": lambda _: "https://host/scan.nii?key=SECRET",
    "credentials in an address": lambda _: "s3://KEY:SECRET@bucket/scan.nii",
    "key that climbs": lambda _: "s3://bucket/../scan.nii",
    "no bucket": lambda _: "s3:///scan.nii",
}


def run(monkeypatch, capsys, *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["medcolor", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return make_photographs(tmp_path_factory.mktemp("photographs"), count=2, size=30)


@pytest.mark.parametrize("name", CASES)
def test_a_scan_that_cannot_be(name, tmp_path, photographs, monkeypatch, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    target = CASES[name](folder)
    before = sorted(folder.rglob("*"))
    output = tmp_path / "out" / "scan.ome.zarr"
    code, told = run(monkeypatch, capsys, "colorize", target, photographs, output, *SPACING)
    lines = [line for line in told.splitlines() if not line.startswith("{")]
    assert code == 2, told
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "SECRET" not in lines[0].replace("AWS_SECRET_ACCESS_KEY", "")
    assert "Traceback" not in told
    assert not output.exists()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take its rights away for a while")
@pytest.mark.parametrize("kind", ["file", "folder", "slice"])
def test_a_scan_that_may_not_be_read(kind, tmp_path, photographs, monkeypatch, capsys):
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    folder = tmp_path / "in"
    folder.mkdir()
    target = nifti(folder) if kind == "file" else series(folder)
    {"file": target, "folder": folder, "slice": folder / "1.dcm"}[kind].chmod(0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    for path in (photographs, *photographs.parents):
        if path.owner() == "root" and "pytest" in str(path):
            path.chmod(0o755)
    os.seteuid(65534)
    try:
        output = tmp_path / "out" / "scan.ome.zarr"
        code, told = run(monkeypatch, capsys, "colorize", target, photographs, output, *SPACING)
    finally:
        os.seteuid(0)
    assert code == 2, told
    assert "Permission denied" in told
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
