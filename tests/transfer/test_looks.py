from dataclasses import replace

import numpy as np
import pytest
import torch

from medcolor.color import lightness, srgb_to_lab
from medcolor.config import RunSettings
from medcolor.domain import SQUARE, Box, SliceVotes, TargetSlice
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.looks import color_slice, needs_votes
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.model import ColorModel
from medcolor.transfer.photographic import agreed_chroma
from medcolor.transfer.scan import describe_scan

SIDE = 64
CPU = torch.device("cpu")
FLESH = [50.0, 25.0, 20.0]
CROP = Box(4, 60, 4, 60)


@pytest.fixture(scope="module")
def target():
    """Fat and muscle with a cavity, in air; in HU."""
    values = np.full((SIDE, SIDE), -1000.0, np.float32)
    values[6:58, 6:32], values[6:58, 32:58] = -100.0, 55.0
    body = values > -500
    values[20:36, 20:44] = -1000.0
    values += np.random.default_rng(0).normal(0, 4, values.shape).astype(np.float32)
    shown = np.clip((values + 350) / 1000, 0, 1)
    return TargetSlice(shown, shown, body, 3, values, SQUARE)


@pytest.fixture(scope="module")
def statistics(target):
    return measure_scan(
        [(target.values, target.body)],
        (1.0, 1.0),
        SIDE,
        window=(-350.0, 650.0),
        is_hounsfield=True,
        air_below=0.0,
    )


def settings_of(look):
    settings = RunSettings()
    return settings.model_copy(update={"transfer": replace(settings.transfer, look=look)})


def model_of(statistics, lab, error=30.0):
    """Return a model that knows one colour."""
    lattice = Lattice.over(8, (1.0, 1.0, 1.0), statistics, RunSettings().model)
    z, y, x, levels = lattice.shape
    curve = torch.tensor(lab).view(1, 3, 1, 1, 1).expand(z, 3, levels, y, x)
    return ColorModel(lattice, curve.half(), error)


def votes_of(target, statistics, labs):
    contrast = describe_scan(torch.from_numpy(target.values), statistics).numpy()
    lab = np.array(labs, np.float16)[:, :, None, None] * np.ones((SIDE, SIDE), np.float16)
    trust = (target.body * np.ones((len(labs), 1, 1))).astype(np.float16)
    box = Box(0, SIDE, 0, SIDE)
    return SliceVotes(
        3, box, target.body, contrast.astype(np.float16), lab, trust, (1.0,) * len(labs)
    )


def inside(votes):
    """Return votes as they are given for the box of the body."""
    crop = CROP.slices
    return replace(
        votes,
        box=CROP,
        body=votes.body[crop],
        contrast=votes.contrast[crop],
        lab=votes.lab[(..., *crop)],
        trust=votes.trust[(..., *crop)],
    )


def lab_of(slice_):
    return srgb_to_lab(slice_.rgba[..., :3].astype(np.float32) / 255)


@pytest.mark.parametrize("look", ["photograph", "scan"])
def test_air_in_the_body_is_black_and_tissue_around_it_is_not(target, statistics, look):
    model = model_of(statistics, FLESH)
    found = color_slice(target, model, None, settings_of(look), statistics, CPU)
    assert found.rgba[22:34, 22:42, :3].max() <= 2
    assert lab_of(found)[10:16, 10:54, 1].min() > 15
    assert not found.rgba[~target.body].any()


def test_the_look_of_a_photograph_has_its_lightness(target, statistics):
    model = model_of(statistics, FLESH)
    found = lab_of(color_slice(target, model, None, settings_of("photograph"), statistics, CPU))
    for part in ((slice(42, 54), slice(10, 24)), (slice(42, 54), slice(40, 54))):
        np.testing.assert_allclose(found[part].mean((0, 1)), FLESH, atol=8)


def test_the_look_of_the_scan_has_its_lightness_and_the_models_chroma(target, statistics):
    model = model_of(statistics, [50.0, 8.0, 6.0])
    found = lab_of(color_slice(target, model, None, settings_of("scan"), statistics, CPU))
    tissue = target.body & (target.values > -300)
    wanted = lightness(target.luminance)
    assert np.abs(found[..., 0] - wanted)[tissue].max() < 1.5
    np.testing.assert_allclose(found[tissue][:, 1:].mean(0), [8, 6], atol=1.5)


def test_the_look_of_the_paper_is_equation_1(target, statistics):
    settings, votes = settings_of("paper"), votes_of(target, statistics, [FLESH])
    found = color_slice(target, None, votes, settings, statistics, CPU)
    crop = CROP.slices
    cut = inside(votes)
    expected = equation_1(
        target.luminance[crop], target.body[crop], cut, settings.transfer.gamma, settings.smoothing
    )
    found = color_slice(target, None, cut, settings, statistics, CPU).rgba[crop][..., :3]
    wanted = np.where(target.body[crop][..., None], np.rint(255 * expected), 0)
    np.testing.assert_array_equal(found, wanted)


def test_a_scan_like_a_photograph_takes_the_chroma_of_votes_of_its_lightness(target, statistics):
    """One photograph has the right lightness in the fat alone, the other in the muscle alone."""
    model = model_of(statistics, [0.0, 0.0, 0.0], error=3.0)
    settings = settings_of("photograph")
    assert needs_votes(model, settings)
    shown = lightness(target.luminance)
    fat, muscle = shown[44:54, 10:24].mean(), shown[44:54, 40:54].mean()
    votes = votes_of(target, statistics, [[fat, 5.0, 15.0], [muscle, 12.0, 3.0]])
    votes = inside(votes)
    found = lab_of(color_slice(target, model, votes, settings, statistics, CPU))
    np.testing.assert_allclose(found[44:54, 10:24].mean((0, 1)), [fat, 5, 15], atol=2.5)
    np.testing.assert_allclose(found[44:54, 40:54].mean((0, 1)), [muscle, 12, 3], atol=2.5)
    assert not needs_votes(model_of(statistics, FLESH), settings)
    assert needs_votes(None, settings)


def test_where_all_votes_disagree_they_share_the_pixel(target, statistics):
    votes = votes_of(target, statistics, [[90.0, 10.0, 0.0], [90.0, 20.0, 0.0]])
    chroma = agreed_chroma(votes, np.zeros((SIDE, SIDE), np.float32))
    np.testing.assert_allclose(
        chroma[target.body], [15, 0] * np.ones((target.body.sum(), 1)), atol=0.1
    )


def test_without_a_body_or_votes_a_slice_stays_empty(target, statistics):
    settings = settings_of("photograph")
    nobody = replace(target, body=np.zeros_like(target.body))
    model = model_of(statistics, FLESH)
    assert not color_slice(nobody, model, None, settings, statistics, CPU).rgba.any()
    assert not color_slice(target, None, None, settings, statistics, CPU).rgba.any()


def test_alpha_is_the_luminance(target, statistics):
    found = color_slice(
        target, model_of(statistics, FLESH), None, settings_of("photograph"), statistics, CPU
    )
    wanted = np.where(target.body, np.rint(255 * target.luminance), 0)
    np.testing.assert_array_equal(found.rgba[..., 3], wanted)
