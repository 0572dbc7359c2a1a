import re

import numpy as np
import pytest
import torch

from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.evaluate.features import report as module
from medcolor.evaluate.features.report import FeatureEvaluation, evaluate_features
from medcolor.evaluate.features.retrieval import (
    GreyPhotograph,
    rank_correlation,
    share_near,
)
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.progress import Silent


class ByMean(GrayVGG19):
    """Describes an image by where its brightness lies: enough for the bodies made here."""

    def __init__(self):
        super().__init__(NetworkSpec(name="mean", width=0.0625, descriptor_size=2))

    def describe(self, luminance):
        mass = luminance.sum((1, 2, 3))
        cols = torch.linspace(0, 1, luminance.shape[3])
        centre = (luminance * cols).sum((1, 2, 3)) / mass
        return torch.stack([centre, 1 - centre], 1) / torch.hypot(centre, 1 - centre)[:, None]


def bodies(count=9):
    """Discs with a bright spot that moves along with the level."""
    rows, cols = np.mgrid[0:64, 0:64]
    tissue = (rows - 32) ** 2 + (cols - 32) ** 2 < 28**2
    found = []
    for n in range(count):
        spot = (rows - 32) ** 2 + (cols - 14 - 4 * n) ** 2 < 36
        grey = np.where(spot, 1.0, np.where(tissue, 0.2, 0)).astype(np.float32)
        found.append(GreyPhotograph(str(n), grey, tissue, 5.0 * n))
    return found


def test_ranks_follow_slices_whichever_way_they_run():
    from medcolor.domain import SQUARE, TargetSlice

    photographs = bodies()
    slices = [
        TargetSlice(p.grey, p.grey, p.tissue, z, p.grey, SQUARE)
        for z, p in enumerate(reversed(photographs))
    ]
    # The crops differ by a margin, which may confuse two neighbours.
    assert rank_correlation(slices, photographs, ByMean()) > 0.99


def test_a_photograph_is_never_found_in_itself(monkeypatch):
    """Without a change of tones the best other photograph is the neighbour."""
    monkeypatch.setattr("medcolor.evaluate.features.retrieval.remap", lambda grey, *_: grey)
    assert share_near(bodies(), ByMean(), 0, within_mm=5.0) == 1
    assert share_near(bodies(), ByMean(), 0, within_mm=5.1) == 1
    far = [GreyPhotograph(p.name, p.grey, p.tissue, 100 * p.position_mm) for p in bodies()]
    assert np.isnan(share_near(far, ByMean(), 0, within_mm=5.0))


@pytest.mark.slow
def test_the_report_holds_every_set_level_and_rival(monkeypatch, photographs):
    monkeypatch.setattr(module, "_PHANTOM_SPACING_MM", {"head": 6.0, "trunk": 12.0})
    monkeypatch.setattr(module, "_PHANTOM_EVERY", {"head": 20, "trunk": 24})
    monkeypatch.setattr(module, "_SLICES_PER_SET", 2)
    settings = load_settings(None, ["features.working_size_px=64"])
    text = evaluate_features(FeatureEvaluation(photographs=photographs), settings, Silent())
    for words in ("cryosections, deformed", "phantom head t1", "phantom trunk ct", "together"):
        assert words in text
    lines = [line for line in text.splitlines() if line.startswith("raw 5x5 patches")]
    assert len(lines) == 8
    for line in lines:
        figures = line.removeprefix("raw 5x5 patches").split()
        assert len(figures) == 5
        assert all(figure == "-" or 0 <= float(figure) <= 100 for figure in figures)
    assert re.search(r"photographs with other tones: \d+\.\d % within 10 mm", text)
    assert re.search(r"phantom trunk CT, another person: \d+\.\d % within 20 mm", text)


def test_a_ct_needs_photographs(tmp_path):
    with pytest.raises(InputError, match="Add --photographs"):
        evaluate_features(FeatureEvaluation(ct=tmp_path), load_settings(None, []), Silent())
