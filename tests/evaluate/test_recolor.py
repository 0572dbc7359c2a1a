"""Photographs recoloured from each other, on made-up frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import COLORS, draw_slice, make_photographs
from tables import figures

from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.evaluate.recolor import evaluate_recolored
from medcolor.progress import Silent

SETTINGS = load_settings(None, ["features.working_size_px=64", "retrieval.references=1"])


def test_matching_beats_grey_and_writes_pictures(tmp_path):
    folder = make_photographs(tmp_path / "photographs", count=6)
    table = evaluate_recolored(
        folder, SETTINGS, Silent(), distance_mm=3.0, pictures=tmp_path / "pictures"
    )
    found = figures(table)
    assert list(found) == [
        "grey",
        "mean colour",
        "look-up",
        "Welsh",
        "Reinhard",
        "transfer function*",
        "medcolor",
        "medcolor, lightness kept",
        "truth",
    ]
    assert found["truth"][:2] == (0, 0)
    assert found["medcolor, lightness kept"][1] == pytest.approx(found["medcolor"][1], abs=1e-3)
    assert found["medcolor, lightness kept"][0] <= found["medcolor"][0]
    assert found["medcolor"][0] < 0.5 * found["grey"][0]
    pair = cv2.imread(str(tmp_path / "pictures" / "recolored-1000.png"))
    assert pair.shape[1] > pair.shape[0]


def test_a_disguised_photograph_is_bent_and_another_grey_and_still_recoloured(tmp_path):
    folder = make_photographs(tmp_path / "photographs", count=6)
    found = figures(evaluate_recolored(folder, SETTINGS, Silent(), distance_mm=3.0, disguise=True))
    assert found["truth"][4] < 0.9  # its grey is not that of its colours
    assert found["medcolor"][1] < found["grey"][1]


def test_references_nearer_than_the_distance_are_not_used(tmp_path):
    """Frames in pairs, one mm apart; only the first pair has red and green swapped."""
    swapped = COLORS[:, [1, 0, 2]]
    for index in range(4):
        rgb = (COLORS if index else swapped)[draw_slice(0.5, 60)[1]][::-1]
        for beside in (0, 1):
            cv2.imwrite(str(tmp_path / f"{1000 + 20 * index + beside}.png"), rgb[..., ::-1])
    near, far = (
        figures(evaluate_recolored(tmp_path, SETTINGS, Silent(), distance_mm=distance, every=8))
        for distance in (1.0, 10.0)
    )
    # The first frame's twin has its colours; all others have different ones.
    assert near["medcolor"][1] < 5
    assert far["medcolor"][1] > 15


def test_a_distance_that_leaves_no_reference_is_refused(tmp_path):
    folder = make_photographs(tmp_path, count=3)
    with pytest.raises(InputError, match="no reference is far enough"):
        evaluate_recolored(folder, SETTINGS, Silent(), distance_mm=1000.0)


def test_frames_without_positions_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(InputError, match="names carry no positions"):
        evaluate_recolored(tmp_path, SETTINGS, Silent(), distance_mm=1.0)
