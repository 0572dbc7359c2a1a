import numpy as np
import pytest
import torch

from medcolor.evaluate.features.misses import MissRates, count_misses
from medcolor.evaluate.features.pairs import Pair, View
from medcolor.evaluate.features.rivals import DistilledVGG19, random_network, raw_patches
from medcolor.features.network import LEVEL_NAMES, NetworkSpec

SIZE = 64


def identical_pair():
    grey = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
    tissue = np.ones((SIZE, SIZE), bool)
    view = View(grey, tissue)
    place = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    return Pair(view, view, place, tissue)


def shifted(pair, by_px):
    return Pair(pair.target, pair.reference, pair.place + by_px, pair.known)


def rates_of(pair, extract, patch_px=1):
    rates = MissRates()
    count_misses(pair, extract, patch_px, 0, rates)
    return [rates.rate(level) for level in LEVEL_NAMES]


@pytest.mark.parametrize("patch_px", [1, 3])
def test_an_image_is_found_in_itself(patch_px):
    network = random_network(NetworkSpec(name="r", width=0.125, descriptor_size=8))
    assert rates_of(identical_pair(), network, patch_px)[:4] == [0, 0, 0, 0]
    assert rates_of(identical_pair(), raw_patches)[:4] == [0, 0, 0, 0]


def test_a_hit_lies_within_one_cell_of_its_level():
    """Two pixels off is a miss where cells are pixels, and a hit where they are four or more."""
    rates = rates_of(shifted(identical_pair(), np.float32(1.4)), raw_patches)
    assert rates[0] == 1
    assert rates[2] == 0


def test_features_that_tell_nothing_miss_as_chance_does():
    def blind(luminance):
        rows, cols = luminance.shape[2:]
        source = torch.Generator().manual_seed(int(1000 * float(luminance.sum())) % 997)
        return [torch.randn(1, 8, rows >> k, cols >> k, generator=source) for k in range(5)]

    pair = identical_pair()
    other = View(pair.reference.grey * 0.9, pair.reference.tissue)
    rates = rates_of(Pair(pair.target, other, pair.place, pair.known), blind)
    assert min(rates[:3]) > 0.9


def test_only_tissue_is_found():
    """Where the truth's surroundings are no tissue, nothing can be found there."""
    pair = identical_pair()
    tissue = np.zeros_like(pair.reference.tissue)
    tissue[:, : SIZE // 2] = True
    found = Pair(pair.target, View(pair.reference.grey, tissue), pair.place, pair.known)
    rates = MissRates()
    count_misses(found, raw_patches, 1, 0, rates)
    assert rates.rate("relu1_1") == 0
    asked_on_the_right = Pair(
        pair.target, View(pair.reference.grey, tissue), pair.place, ~tissue & pair.known
    )
    rates = MissRates()
    count_misses(asked_on_the_right, raw_patches, 1, 0, rates)
    assert rates.asked["relu1_1"] == 0
    assert np.isnan(rates.rate("relu1_1"))


def test_the_nearest_cell_is_that_of_the_products_search():
    """Brute force over all cells equals the matcher's own table at the coarsest level."""
    from medcolor.evaluate.features.misses import _nearest
    from medcolor.matching.search import search_global, similarity_table

    source = torch.Generator().manual_seed(0)
    own, other = (
        torch.nn.functional.normalize(torch.randn(6, *shape, generator=source), dim=0)
        for shape in ((5, 7), (6, 4))
    )
    everywhere = torch.ones(1, 5, 7) > 0, torch.ones(1, 6, 4) > 0
    table = similarity_table(own[None], other[None], 3)
    forward, _ = search_global(table, 0 * table, 0 * table, *everywhere)
    queries = np.argwhere(np.ones((5, 7), bool))
    best = _nearest(own, other, queries, everywhere[1].flatten(), 3)
    row, col = forward.position[0]
    expected = (row * 4 + col).flatten().numpy()
    np.testing.assert_array_equal(best, expected)


@pytest.mark.shared
def test_the_distilled_network_has_the_channels_of_vgg19(shared):
    path = shared.parent / "weights" / "distilled-vgg19-16x.pth"
    taps = DistilledVGG19(path)(torch.rand(1, 1, 64, 48))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (64, 64, 48), (128, 32, 24), (256, 16, 12), (512, 8, 6), (512, 4, 3)
    ]  # fmt: skip
