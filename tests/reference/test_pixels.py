"""Photographs whose files say that their pixels are not square, or say nonsense."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medcolor.errors import InputError
from medcolor.reference.library import read_photograph

SIDE = 96
WAYS = {
    "png": lambda image, path, dpi: image.save(path.with_suffix(".png"), dpi=dpi),
    "jpg": lambda image, path, dpi: image.save(path.with_suffix(".jpg"), dpi=dpi, quality=95),
    "tif": lambda image, path, dpi: image.save(path.with_suffix(".tif"), dpi=dpi),
}


def disc(mode="RGB"):
    """A red disc on white; where there is alpha, the disc is opaque."""
    rows, cols = np.mgrid[:SIDE, :SIDE]
    inside = (rows - 47.5) ** 2 + (cols - 47.5) ** 2 < 40**2
    rgb = np.where(inside[..., None], (170, 40, 40), 255).astype(np.uint8)
    if mode == "RGB":
        return Image.fromarray(rgb)
    return Image.fromarray(np.dstack([rgb, np.where(inside, 255, 0).astype(np.uint8)]))


def write(folder, way, shape, dpi, mode="RGB"):
    """Write the disc in (row, col) pixels of any shape, with the density of those."""
    image = disc(mode).resize(shape[::-1], Image.Resampling.BILINEAR)
    WAYS[way](image, folder / "one", dpi)
    return next(folder.glob("one.*"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("shape", "dpi"), [((SIDE // 2, SIDE), (150, 75)), ((SIDE, SIDE // 3), (50, 150))]
)
def test_pixels_are_made_square_where_the_file_says_that_they_are_not(tmp_path, way, shape, dpi):
    path = write(tmp_path, way, shape, dpi)
    rgb, _ = read_photograph(path)
    assert rgb.shape == (SIDE, SIDE, 3)
    is_red = rgb[..., 2] < 140
    rows, cols = np.nonzero(is_red)
    assert np.ptp(rows) == pytest.approx(np.ptp(cols), abs=3)
    assert is_red.sum() == pytest.approx(np.pi * 40**2, rel=0.03)


def test_what_is_opaque_is_made_so_too(tmp_path):
    rgb, body = read_photograph(write(tmp_path, "png", (SIDE // 2, SIDE), (150, 75), "RGBA"))
    assert rgb.shape[:2] == body.shape == (SIDE, SIDE)
    assert body.sum() == pytest.approx(np.pi * 40**2, rel=0.03)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dpi", [(72, 72), (300, 300), (0, 0)])
def test_pixels_that_are_square_are_left_alone(tmp_path, way, dpi):
    path = write(tmp_path, way, (50, 60), dpi)
    assert read_photograph(path)[0].shape == (50, 60, 3)


def test_a_density_that_nobody_meant_is_refused(tmp_path):
    path = write(tmp_path, "png", (50, 60), (300, 60))
    with pytest.raises(InputError, match="5 times as high as wide"):
        read_photograph(path)
