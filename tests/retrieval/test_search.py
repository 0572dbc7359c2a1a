import numpy as np
import pytest

from medcolor.retrieval.assignment import cosine_similarity
from medcolor.retrieval.search import top_k


def unit(random, count, size=24):
    values = random.normal(size=(count, size)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def brute_force(queries, references, k):
    """Every pair, sorted whole."""
    similarity = cosine_similarity(queries, references)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(similarity, order, axis=1)


@pytest.mark.parametrize("block", [1, 7, 50, 101, 4096])
@pytest.mark.parametrize("k", [1, 3, 100, 101, 500])
def test_the_best_are_those_of_all_pairs_sorted(block, k):
    random = np.random.default_rng(3)
    queries, references = unit(random, 9), unit(random, 101)
    found = top_k(queries, references, k, block=block)
    indices, cosines = brute_force(queries, references, k)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.cosines, cosines)


@pytest.mark.parametrize("block", [2, 5, 64])
def test_of_equal_references_the_first_come_first(block):
    random = np.random.default_rng(4)
    different = unit(random, 4)
    references = different[[0, 1, 0, 2, 1, 0, 3, 0]]
    found = top_k(different, references, 8, block=block)
    np.testing.assert_array_equal(found.indices, brute_force(different, references, 8)[0])
    assert found.indices[0, :4].tolist() == [0, 2, 5, 7]


def test_a_query_that_saw_nothing_takes_the_first_references():
    random = np.random.default_rng(5)
    found = top_k(np.zeros((1, 24), np.float32), unit(random, 30), 4, block=8)
    assert found.indices.tolist() == [[0, 1, 2, 3]]
    assert not found.cosines.any()


def test_references_may_be_a_read_only_map(tmp_path):
    random = np.random.default_rng(6)
    references = unit(random, 20)
    np.save(tmp_path / "r.npy", references)
    mapped = np.load(tmp_path / "r.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        top_k(references, mapped, 2).indices, top_k(references, references, 2).indices
    )
