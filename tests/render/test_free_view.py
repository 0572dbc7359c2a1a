"""The volume of the page's 3-D tab, and what else a page holds for it, without a browser."""

import gzip
import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

import nibabel as nib
import numpy as np
import pytest
from free_volumes import CT, MR, RED, four_quarters, free_volume, layered, write_rgba
from pages import make_content

from medcolor.render.free_view import FreeView, free_parts, most_packed_bytes
from medcolor.render.page import page_file
from medcolor.render.scene import SceneSettings
from medcolor.volume.store import read_affine, read_levels, read_slices

AS_STORED = SceneSettings(opacity="luminance", smooth_voxels=0.0, exposure=1.0)
VENDORED = files("medcolor.render").joinpath("niivue")


def written_page(volume, scene=AS_STORED):
    return page_file(replace(make_content(2), free=FreeView(volume, scene))).decode()


def payload(page):
    return json.loads(re.search(r'id="free-view">(.*?)</script>', page, re.DOTALL)[1])


def image_of(page, folder):
    """Return the NIfTI file that a page holds, as nibabel opens it."""
    path = folder / "body.nii.gz"
    path.write_bytes(b64decode(payload(page)["nifti"]))
    return nib.load(path)


def channels(image):
    return np.stack([np.asanyarray(image.dataobj)[name] for name in "RGBA"], axis=-1)


def noise(shape, seed=0):
    rng = np.random.default_rng(seed)
    rgba = rng.integers(0, 256, (*shape, 4), dtype=np.uint8)
    rgba[..., 3] = rgba[..., 3] // 2 + 100
    return rgba


@pytest.mark.parametrize("finest", [True, False])
def test_the_embedded_voxels_are_those_of_a_level_at_their_places(tmp_path, finest):
    path = write_rgba(tmp_path / "v", noise((12, 20, 16)), (3.0, 1.5, 2.0), smallest_side=10)
    levels = read_levels(path)
    sizes = [free_volume(path, AS_STORED).packed_bytes, 12_000]
    volume = free_volume(path, AS_STORED, sizes[0] if finest else sizes[1])
    image = image_of(written_page(volume), tmp_path)
    spacing = image.header.get_zooms()[::-1]
    (level,) = (one for one in levels if np.allclose(one.spacing_mm, spacing))
    assert (level.index == 0) == finest
    stored = read_slices(path, level.index, range(level.shape[0]))
    embedded = channels(image)
    # Voxels find each other by millimetres alone.
    at = np.argwhere(embedded[..., 3] > 0)
    mm = nib.affines.apply_affine(image.affine, at)
    index = nib.affines.apply_affine(np.linalg.inv(np.array(read_affine(path, level.index))), mm)
    np.testing.assert_allclose(index, index.round(), atol=1e-3)
    x, y, z = index.round().astype(int).T
    assert len(at) == (stored[..., 3] > 0).sum()
    visible = embedded[tuple(at.T)]
    step = np.gcd.reduce(visible[..., :3][visible[..., :3] < 255])
    assert step == 1 if finest else step <= 8
    error = np.abs(visible[:, :3].astype(int) - stored[z, y, x, :3])
    assert error.max() <= step // 2
    through_mm = 0.999 * stored[z, y, x, 3] / 255
    opacity = 1 - (1 - through_mm) ** np.prod(level.spacing_mm) ** (1 / 3)
    assert np.abs(visible[:, 3] - 255 * opacity).max() <= (0.51 if finest else 8.01)


def test_a_scene_that_smooths_keeps_solid_colours_up_to_its_rim(tmp_path):
    """The rim of a block is half air, which the store holds as black."""
    rgba = four_quarters()
    rgba[rgba[..., 3] == 0] = 0
    volume = free_volume(write_rgba(tmp_path / "v", rgba), SceneSettings(exposure=1.0))
    embedded = channels(image_of(written_page(volume), tmp_path))
    shown = embedded[embedded[..., 3] > 25][:, :3].astype(int)
    colors = np.array([(200, 30, 30), (30, 180, 30), (40, 60, 220), (230, 200, 110)])
    distance = np.linalg.norm(shown[:, None] - colors, axis=-1).min(axis=1)
    assert np.percentile(distance, 60) < 5
    assert shown.max(axis=-1).min() > 90


@pytest.mark.parametrize("room", [4_000, 10_000, 30_000, 60_000, 200_000])
def test_the_finest_level_that_fits_is_taken_and_none_is_too_large(tmp_path, room):
    path = write_rgba(tmp_path / "v", noise((32, 32, 32)), smallest_side=8)
    volume = free_volume(path, most_bytes=room)
    assert volume.packed_bytes <= room
    larger = free_volume(path, most_bytes=2 * room)
    assert np.prod(larger.shape) >= np.prod(volume.shape)


def test_where_no_level_fits_there_is_none(tmp_path):
    path = write_rgba(tmp_path / "v", noise((32, 32, 32)), smallest_side=16)
    assert free_volume(path, most_bytes=100) is None


def test_tissues_beside_the_scene_s_own_are_offered_bone_for_hounsfield_units_alone(tmp_path):
    mr = write_rgba(tmp_path / "mr", layered(), levels=MR)
    ct = write_rgba(tmp_path / "ct", layered(), levels=CT)
    assert (free_volume(mr).shown, set(free_volume(mr).others)) == ("skin", {"muscle", "organs"})
    assert set(free_volume(ct).others) == {"muscle", "organs", "bone"}
    points = SceneSettings(opacity_points=((0.0, 0.0), (1.0, 0.5)))
    volume = free_volume(mr, points)
    assert (volume.shown, set(volume.others)) == ("scene", {"skin", "muscle", "organs"})


def test_the_opacity_of_muscle_leaves_the_fat_below_the_skin_away(tmp_path):
    volume = free_volume(write_rgba(tmp_path / "v", layered()))
    rgba = np.frombuffer(gzip.decompress(volume.nifti)[352:], np.uint8).reshape(*volume.shape, 4)
    muscle = np.frombuffer(gzip.decompress(volume.others["muscle"]), np.uint8)
    muscle = muscle.reshape(volume.shape)
    middle = tuple(side // 2 for side in volume.shape)
    below_skin = (middle[0], 5, middle[2])
    assert min(rgba[middle][3], muscle[middle], rgba[below_skin][3]) > 150
    assert muscle[below_skin] < 30
    assert np.abs(rgba[middle][:3].astype(int) - RED).max() < 60


@pytest.mark.parametrize("pictures", [0, 1_500_000, 2_900_000, 3_500_000])
def test_the_page_stays_below_6_mb_where_its_pictures_leave_room(tmp_path, pictures):
    room = most_packed_bytes(pictures)
    assert 4 * room // 3 <= 3_000_000
    path = write_rgba(tmp_path / "v", noise((16, 16, 16)))
    volume = free_volume(path)
    full = replace(volume, nifti=bytes(room - sum(map(len, volume.others.values()))))
    parts = free_parts(FreeView(full, SceneSettings()))
    texts = [*parts.texts.values(), parts.style, parts.licence, *parts.policy, *parts.credits]
    assert pictures + sum(len(text.encode()) for text in texts) < 6_000_000


def test_the_policy_names_three_scripts_by_their_digests_and_allows_nothing_else(tmp_path):
    page = written_page(free_volume(write_rgba(tmp_path / "v", layered())))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {
        "default-src",
        "img-src",
        "style-src",
        "script-src",
        "base-uri",
        "form-action",
    }
    assert rules["img-src"] == "data:"
    code = gzip.decompress(b64decode(payload(page)["code"]))
    scripts = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    digests = [sha256(text).digest() for text in (*(one.encode() for one in scripts), code)]
    expected = {f"'sha256-{b64encode(digest).decode()}'" for digest in digests}
    assert set(rules["script-src"].split()) == expected
    assert len(expected) == 3


def test_the_page_carries_the_viewer_unchanged_with_its_licence_and_a_credit(tmp_path):
    page = written_page(free_volume(write_rgba(tmp_path / "v", layered())))
    code = gzip.decompress(b64decode(payload(page)["code"]))
    origin = VENDORED.joinpath("ORIGIN.txt").read_text()
    version = re.search(r"@niivue/niivue ([\d.]+),", origin)[1]
    assert sha256(VENDORED.joinpath("niivue.umd.js").read_bytes()).hexdigest() in origin
    assert code == VENDORED.joinpath("niivue.umd.js").read_bytes().strip(b"\n")
    assert f'"{version}"'.encode() in code
    assert f"NiiVue {version}, copyright 2021 Niivue, BSD 2-Clause License" in page
    for words in ("Copyright (c) 2021, Niivue", "Redistributions in binary form must reproduce"):
        assert words in re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1]


def test_a_page_without_the_tab_holds_nothing_of_it():
    page = page_file(make_content(2)).decode().lower()
    assert "niivue" not in page
    assert "free" not in re.sub(r"data:image/webp;base64,[a-z0-9+/=]*", "", page)
