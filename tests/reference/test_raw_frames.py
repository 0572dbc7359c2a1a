"""Raw frames: procedural ones whose truth is known, and one of the Visible Human."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from medcolor.color import linear_to_srgb, srgb_to_linear
from medcolor.errors import EmptyFrameError
from medcolor.phantom import Region, make_phantom, render_cryosection
from medcolor.phantom.rendering.raw_frame import RawFrame, make_raw_frame
from medcolor.phantom.rendering.raw_objects import patch_reflectances
from medcolor.reference.gray_card import find_card, gains_of_card, unclipped
from medcolor.reference.prepare import cut_out, prepare_photograph
from medcolor.reference.settings import ReferenceSettings
from medcolor.volume.images import read_image

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("raw")

LAI = ReferenceSettings()
LEAST_DICE = 0.97
PERSONS: tuple[tuple[int, Region, int], ...] = (
    (1, "trunk", 15), (2, "trunk", 15), (3, "head", 10), (4, "head", 10),
)  # fmt: skip
"""Seed, region, frames: thighs and hands, trunks with arms, shoulders, necks, heads, crowns."""


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def sections(seed: int, region: Region, count: int):
    """Photographs and tissues of slices spread evenly over a person."""
    phantom = make_phantom(seed, region=region, spacing_mm=4.0)
    shown = np.flatnonzero((phantom.labels > 0).sum(axis=(1, 2)) > 200)
    for z in shown[np.linspace(0, len(shown) - 1, count).astype(int)]:
        z_mm, y_mm, x_mm = phantom.origin_mm
        origin = (z_mm + float(z) * phantom.spacing_mm, y_mm, x_mm)
        part = replace(phantom, labels=phantom.labels[z : z + 1], origin_mm=origin)
        yield render_cryosection(part)[0], part.labels[0]


@pytest.fixture(scope="module")
def frames() -> list[RawFrame]:
    """Fifty frames."""
    faces = [face for person in PERSONS for face in sections(*person)]
    return [make_raw_frame(*face, seed=seed) for seed, face in enumerate(faces)]


def body_as_stored(frame: RawFrame):
    """The body found, over the whole frame as it is stored."""
    found = cut_out(frame.rgb, "frame", LAI)
    assert found.is_raw
    whole = np.zeros(frame.body.shape, bool)
    whole[found.box.slices] = found.body[::-1]
    return whole


def test_bodies_are_cut_out_of_gel_among_cards_and_labels(frames):
    assert len(frames) == 50
    agreement = [dice(body_as_stored(frame), frame.body) for frame in frames]
    assert min(agreement) >= LEAST_DICE, np.argsort(agreement)[:5]


def test_the_card_is_found_where_there_is_one_and_undoes_the_light(frames):
    white = patch_reflectances()[0]
    display = float(linear_to_srgb(np.array(white)))
    for frame in frames:
        card = find_card(frame.rgb)
        assert (card is not None) == frame.has_card
        if card is not None:
            undone = np.array(gains_of_card(card, display)) * frame.light
            # Colour within a hundredth; brightness as uneven as the light is over the frame.
            np.testing.assert_allclose(undone[[0, 2]] / undone[1], 1, atol=0.01)
            assert undone[1] == pytest.approx(1, abs=0.15)


def test_gains_are_lowered_together_where_they_would_clip_tissue():
    tissue = np.full((100, 3), (200, 150, 100), np.uint8)
    gains = unclipped((3.0, 2.0, 1.0), tissue)
    assert gains[0] * srgb_to_linear(np.array(200 / 255)) == pytest.approx(1)
    np.testing.assert_allclose(np.array(gains) / gains[2], (3, 2, 1), rtol=1e-5)
    assert unclipped((1.0, 1.0, 1.0), tissue) == (1.0, 1.0, 1.0)


def test_a_frame_without_a_card_keeps_its_colours_and_says_why(frames):
    bare = next(frame for frame in frames if not frame.has_card)
    found = cut_out(bare.rgb, "frame", LAI)
    assert found.gains is None
    assert found.balance == "no gray scale card found"
    stored = bare.rgb[found.box.slices][::-1]
    np.testing.assert_array_equal(found.rgb[found.body], stored[found.body])
    assert (found.rgb[~found.body] == 255).all()


def test_white_balance_can_be_switched_off(frames):
    one = next(frame for frame in frames if frame.has_card)
    found = cut_out(one.rgb, "frame", ReferenceSettings(white_balance="none"))
    assert found.gains is None
    assert found.balance == "switched off"


def test_flips_of_a_raw_frame_are_undone_by_its_orientation_and_never_mirror(frames):
    rgb = frames[10].rgb
    for code, stored in (("LPI", rgb[::-1]), ("RAI", rgb[:, ::-1]), ("RPI", rgb[::-1, ::-1])):
        turned = cut_out(np.ascontiguousarray(stored), "frame", ReferenceSettings(orientation=code))
        straight = cut_out(rgb, "frame", LAI)
        # Searching in a reduced copy may round an outline otherwise, by a pixel.
        assert turned.body.shape == pytest.approx(straight.body.shape, abs=2)
        rows, cols = np.minimum(turned.body.shape, straight.body.shape)
        assert dice(turned.body[:rows, :cols], straight.body[:rows, :cols]) > 0.99
        again = stored[turned.box.slices][:: -1 if code[1] == "A" else 1]
        again = again[:, :: -1 if code[0] == "R" else 1]
        assert again.shape == turned.rgb.shape


def test_gel_in_cavities_is_air(frames):
    shares = [cut_out(frame.rgb, "frame", LAI).air_share for frame in frames[30:45]]
    assert max(shares) > 0.02


def test_gel_without_a_body_is_refused(frames):
    frame = frames[0]
    gel = np.where(frame.body[..., None], np.uint8([30, 90, 130]), frame.rgb)
    with pytest.raises(EmptyFrameError, match="gel without a body"):
        cut_out(gel, "frame", ReferenceSettings(smallest_part=0.02))


@pytest.fixture(scope="module")
def real(shared):
    """A frame of the Visible Human female, as stored, and a hand-drawn outline of its body."""
    path = Path(__file__).with_name("avf1432a_outline.json")
    rgb = read_image(shared / "raw-cryosection" / "avf1432a.png")
    drawn = np.zeros(rgb.shape[:2], np.uint8)
    for polygon in json.loads(path.read_text())["polygons"].values():
        cv2.fillPoly(drawn, [np.array(polygon, np.int32)], 1)
    return np.ascontiguousarray(rgb), drawn > 0


def test_a_real_frame_agrees_with_a_drawn_outline_and_keeps_nothing_else(real):
    rgb, drawn = real
    found = cut_out(rgb, "avf1432a", LAI)
    whole = np.zeros(drawn.shape, bool)
    whole[found.box.slices] = found.body[::-1]
    assert dice(whole, drawn) >= LEAST_DICE
    # Nothing of gel, card, label or markers: all that is beyond the outline hugs it.
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
    assert not (whole & ~near).any()
    assert cv2.connectedComponents(whole.astype(np.uint8))[0] - 1 <= 3
    assert found.balance == "gray scale card"


def test_the_real_cards_patches_become_neutral(real):
    rgb, _ = real
    gains = np.array(gains_of_card(find_card(rgb), 0.95))
    # Patches between numbers 3 and 10, places read off the photograph.
    patches = srgb_to_linear(rgb[1040:1080, 950:1150] / np.float32(255)) * gains
    means = patches.reshape(40, 10, 20, 3).mean(axis=(0, 2))
    np.testing.assert_allclose(means[:, [0, 2]] / means[:, 1:2], 1, atol=0.06)


def test_the_heart_of_the_real_frame_lies_on_the_patients_left(real):
    reference = prepare_photograph(real[0], "avf1432a", LAI)
    rows, cols = reference.tissue.shape
    # Liver (dark) fills the image's left, the patient's right; the breasts point up.
    luminance = reference.rgb.mean(axis=-1)
    middle = slice(rows // 3, 2 * rows // 3)
    right, left = luminance[middle, : cols // 2], luminance[middle, cols // 2 :]
    assert right[:, cols // 4 :].mean() < left[:, : cols // 4].mean()
