"""Photographs lie as viewers show them, whatever way up their file has them.

The oracle is Pillow, which turns an image by its header.
"""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from medcolor.config import load_settings
from medcolor.progress import Silent
from medcolor.reference.library import ReferenceRecord, load_reference, read_photograph
from medcolor.reference.manifest import read_manifest
from medcolor.reference.settings import ReferenceSettings
from medcolor.run.prepare import prepare_references
from medcolor.run.serial import SerialRunner
from medcolor.volume.image_orientation import stated_orientation
from medcolor.volume.images import read_image
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

WAYS = range(1, 9)
FORMATS = ["jpg", "png", "tif"]


def write(path, rgb, way, **options):
    """Write an image as stored, with a header that says which way up it is."""
    exif = Image.Exif()
    exif[0x0112] = way
    Image.fromarray(rgb).save(path, exif=exif, **options)
    return path


def as_shown(stored, way):
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = way
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("channels", [3, 4])
def test_photographs_are_read_as_they_are_shown(tmp_path, way, kind, channels):
    if (kind, channels) == ("jpg", 4):
        channels = 3
    stored = np.random.default_rng(1).integers(0, 255, (24, 40, channels), np.uint8)
    if channels == 4:
        stored[..., 3] = np.where(np.arange(40) < 10, 0, 255)
        stored[..., :3][stored[..., 3] == 0] = 0
    path = write(tmp_path / f"one.{kind}", stored, way)
    if kind == "jpg":
        stored = np.asarray(Image.open(path))
    shown = as_shown(stored, way)
    rgb, opaque = read_photograph(path)
    # Decoders of JPEG round differently.
    np.testing.assert_allclose(rgb.astype(int), shown[..., :3], atol=3 if kind == "jpg" else 0)
    if channels == 4:
        np.testing.assert_array_equal(opaque, shown[..., 3] > 127)
    assert shown.shape[:2] == ((24, 40) if way < 5 else (40, 24))


@pytest.mark.parametrize("way", WAYS)
def test_photographs_of_16_bits_are_turned_too(tmp_path, way):
    rgb = np.random.default_rng(1).integers(0, 65535, (6, 4, 3), np.uint16)
    tifffile.imwrite(
        tmp_path / "one.tif", rgb, photometric="rgb", extratags=[(274, "H", 1, way, True)]
    )
    np.testing.assert_array_equal(
        read_image(tmp_path / "one.tif") >> 8, as_shown((rgb >> 8).astype(np.uint8), way)
    )
    content = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    (tmp_path / "two.png").write_bytes(with_chunk(content, way, behind=False))
    np.testing.assert_array_equal(
        read_image(tmp_path / "one.tif"), read_image(tmp_path / "two.png")
    )


def with_chunk(png, way, *, behind):
    """Put an eXIf chunk before or behind the pixels of a PNG."""
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack("<HHI", way, 0, 0)
    body = b"eXIf" + exif
    chunk = struct.pack(">I", len(exif)) + body + struct.pack(">I", zlib.crc32(body))
    at = len(png) - 12 if behind else 33
    return png[:at] + chunk + png[at:]


@pytest.mark.parametrize("behind", [False, True])
def test_a_chunk_of_a_png_counts_wherever_it_stands(tmp_path, behind):
    stored = np.random.default_rng(1).integers(0, 255, (6, 4, 3), np.uint8)
    content = with_chunk(cv2.imencode(".png", stored)[1].tobytes(), 6, behind=behind)
    assert stated_orientation(io.BytesIO(content)) == 6
    (tmp_path / "one.png").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "one.png"), np.rot90(stored[..., ::-1], -1))


@pytest.mark.parametrize("way", [0, 9, 65535])
def test_a_way_that_is_none_is_passed_over(tmp_path, way):
    stored = np.random.default_rng(1).integers(0, 255, (6, 4, 3), np.uint8)
    path = write(tmp_path / "one.png", stored, way)
    np.testing.assert_array_equal(read_image(path), stored)


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("cut", [3, 9, 20, 30, 40])
def test_a_damaged_header_says_nothing(tmp_path, kind, cut):
    content = write(tmp_path / f"one.{kind}", np.zeros((6, 4, 3), np.uint8), 6).read_bytes()
    assert stated_orientation(io.BytesIO(content)) == 6
    assert stated_orientation(io.BytesIO(content[:cut])) == 1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("way", [1, 3, 6, 8])
def test_long_pixels_are_turned_with_the_image(tmp_path, kind, way):
    """48 x 96 as stored, of pixels twice as high as wide: 96 x 96, however it lies."""
    stored = np.full((48, 96, 3), 200, np.uint8)
    stored[:, :48] = 20
    path = write(tmp_path / f"one.{kind}", stored, way, dpi=(150, 75))
    rgb, _ = read_photograph(path)
    assert rgb.shape == (96, 96, 3)
    dark = rgb[..., 0] < 100
    corners = {1: (0, 0), 3: (-1, -1), 6: (0, 0), 8: (-1, -1)}
    assert dark[corners[way]]
    assert dark.mean() == pytest.approx(0.5, abs=0.02)
    is_beside = dark[0, 0] != dark[0, -1]
    assert is_beside == (way < 5)


@pytest.fixture
def twins(tmp_path):
    """Two files that show one body, one of them stored on its side."""
    rows, cols = np.mgrid[:90, :120]
    body = ((rows - 45) / 35) ** 2 + ((cols - 60) / 50) ** 2 < 1
    rgb = np.full((90, 120, 3), 255, np.uint8)
    rgb[body] = np.random.default_rng(1).integers((100, 20, 20), (200, 90, 90), (body.sum(), 3))
    folder = tmp_path / "photographs"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), rgb[..., ::-1])
    write(folder / "2.png", np.ascontiguousarray(np.rot90(rgb, 1)), 6)
    return folder


def test_photographs_are_prepared_as_they_are_shown(twins):
    records = [ReferenceRecord(f"{n}.png", twins / f"{n}.png", None) for n in (1, 2)]
    first, second = (load_reference(record, ReferenceSettings()) for record in records)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.tissue, second.tissue)


def test_a_copy_that_lies_on_its_side_is_known_as_one(twins, tmp_path):
    settings = load_settings(None, ["compute.threads=1"])
    prepare_references(twins, tmp_path / "out", settings, SerialRunner(), Silent())
    statuses = {one.source: one.status for one in read_manifest(tmp_path / "out")}
    assert statuses["2.png"] == "duplicate"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_grey", [True, False])
def test_slices_of_a_stack_lie_as_they_are_shown(tmp_path, kind, way, is_grey):
    stored = np.random.default_rng(1).integers(0, 255, (3, 16, 24, 3), np.uint8)
    folder = tmp_path / "stack"
    folder.mkdir()
    for z, rgb in enumerate(stored):
        write(folder / f"{z}.{kind}", rgb[..., 0] if is_grey else rgb, way)
    settings = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))
    volume = open_volume(folder, settings, tmp_path)
    one = stored[1, ..., 0] if is_grey else stored[1]
    if kind == "jpg":
        one = np.asarray(Image.open(folder / "1.jpg"))
    shown = as_shown(one, way).astype(float)
    expected = shown if is_grey else shown @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(read_slice(volume, 1, settings), expected, atol=3)
