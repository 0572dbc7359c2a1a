import itertools

import numpy as np
import pytest

from medcolor.retrieval.order import follows_looks, order_by_looks


def along_a_body(count, random, noise=0.3):
    """Descriptors that drift, as neighbouring cuts do."""
    steps = random.normal(size=(count, 64)) * noise
    drift = np.cumsum(steps, axis=0) + random.normal(size=64)
    return (drift / np.linalg.norm(drift, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [3, 4, 5, 12, 60])
def test_shuffled_cuts_are_put_in_order_again(count):
    random = np.random.default_rng(count)
    descriptors = along_a_body(count, random)
    shuffled = random.permutation(count)
    found = shuffled[order_by_looks(descriptors[shuffled])]
    assert found.tolist() in (list(range(count)), list(range(count))[::-1])


def test_the_path_is_the_shortest_of_all():
    random = np.random.default_rng(1)
    for _ in range(5):
        descriptors = random.normal(size=(7, 5)).astype(np.float32)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        distance = 1 - descriptors @ descriptors.T

        def length(path, distance=distance):
            return sum(distance[a, b] for a, b in itertools.pairwise(path))

        shortest = min(length(path) for path in itertools.permutations(range(7)))
        assert length(order_by_looks(descriptors)) == pytest.approx(shortest, abs=1e-3)


def test_names_are_believed_where_neighbours_by_them_look_alike():
    random = np.random.default_rng(5)
    descriptors = along_a_body(40, random)
    assert follows_looks(descriptors)
    assert not follows_looks(descriptors[random.permutation(40)])
    swapped = descriptors.copy()
    swapped[[10, 11]] = swapped[[11, 10]]
    assert follows_looks(swapped)
