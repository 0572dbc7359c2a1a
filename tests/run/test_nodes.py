"""Which nodes of a cluster do which work, and how many workers they hold."""

from __future__ import annotations

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray._private.label_utils import validate_label_selector, validate_node_label_syntax

from medcolor.errors import InputError
from medcolor.run.nodes import (
    KINDS,
    LABEL,
    VALUES,
    Crew,
    Node,
    crews_of,
    refuse_unknown_labels,
    threads_of,
)

SHARES = st.sampled_from([1.0, 0.5, 1 / 3, 0.3, 0.25, 0.1, 0.07])
NODES = st.lists(
    st.builds(
        Node,
        st.just("n"),
        st.integers(0, 64),
        st.integers(0, 8),
        st.sampled_from(["", *VALUES]),
    ),
    max_size=6,
)


def lives_on(selector, label):
    """Tell whether a node with a label satisfies a selector, as Ray documents them."""
    inside = selector[LABEL].removeprefix("!in(").removesuffix(")").split(",")
    return label not in inside


@pytest.mark.parametrize("work", KINDS)
def test_a_selector_admits_unlabelled_nodes_and_those_whose_label_names_the_work(work):
    selector = Crew(1, work).selector
    assert validate_label_selector(selector) is None
    assert lives_on(selector, "")
    for value in VALUES:
        validate_node_label_syntax({LABEL: value})
        assert (
            lives_on(selector, value)
            == (work in value.split("-"))
            == Node("", 1, 0, value).does(work)
        )


def test_labels_that_name_no_work_are_refused():
    for label in ("colour", "render-light", "color,light", "GPU"):
        with pytest.raises(
            InputError, match=rf"node 10\.0\.0\.7.*{label} names no work.*light-render"
        ):
            refuse_unknown_labels([Node("a", 1), Node("10.0.0.7", 1, 0, label)])
    refuse_unknown_labels([Node("", 1, 0, value) for value in ("", *VALUES)])


def filled(nodes, share):
    """Place workers on GPUs one by one, as Ray does: none is spread over two of them."""
    count = 0
    for node in nodes:
        for _ in range(node.gpus if node.does("color") else 0):
            room = 10_000  # Ray counts in ten-thousandths
            while room >= floor(10_000 * share):
                room -= floor(10_000 * share)
                count += 1
    return count


@given(NODES, SHARES)
def test_as_many_workers_colour_as_gpus_hold(nodes, share):
    """With 0.3 of two GPUs each six, not int(2 / 0.3) = 6.67: and with 0.4 four, not five."""
    color = crews_of(nodes, None, share, uses_gpus=True)["color"]
    assert color.size == max(1, filled(nodes, share))
    assert color.gpu_share == share


def test_the_rest_of_a_gpu_is_no_worker():
    two = [Node("a", 16, 2)]
    assert crews_of(two, None, 0.4, uses_gpus=True)["color"].size == 4
    assert crews_of(two, None, 1.0, uses_gpus=True)["color"].size == 2
    assert (
        crews_of([Node("a", 64, 8), Node("b", 64, 8)], None, 0.5, uses_gpus=True)["color"].size
        == 32
    )


@given(NODES, SHARES, st.booleans(), st.none() | st.integers(1, 20))
def test_every_kind_of_work_has_workers_that_some_node_may_hold(nodes, share, uses_gpus, workers):
    crews = crews_of(nodes, workers, share, uses_gpus=uses_gpus)
    assert set(crews) == set(KINDS)
    for work, crew in crews.items():
        assert crew.size >= 1
        able = [node for node in nodes if node.does(work)]
        if crew.work != work:  # others do it: all of their nodes may
            assert all(node.does(work) for node in nodes if node.does(crew.work))
        elif able and not (work == "color" and uses_gpus):
            assert any(node.gpus for node in able) or not crew.gpu_share


def test_pyramids_are_written_by_light_nodes_while_gpus_wait_for_nobody():
    nodes = [Node("gpu", 16, 2, "color"), Node("cpu", 8, 0, "light"), Node("mesa", 4, 0, "render")]
    crews = crews_of(nodes, None, 1.0, uses_gpus=True)
    assert crews == {
        "color": Crew(2, "color", 1.0),
        "light": Crew(8, "light"),
        "render": Crew(4, "render"),
    }


def test_one_machine_without_labels_keeps_its_workers_from_stage_to_stage():
    here = [Node("here", 8)]
    crews = crews_of(here, 3, 1.0, uses_gpus=False)
    assert set(crews.values()) == {Crew(3, "color")}
    with_gpus = crews_of([Node("here", 8, 2)], None, 0.5, uses_gpus=True)
    assert with_gpus["render"] is with_gpus["color"] == Crew(4, "color", 0.5)
    assert with_gpus["light"] == Crew(4, "light"), "CPUs that those who hold GPUs leave"
    full = crews_of([Node("here", 4, 2)], None, 0.5, uses_gpus=True)
    assert full["light"] is full["color"], "no CPU is left to wait for"


def test_a_cluster_that_is_still_empty_is_asked_for_each_kind():
    crews = crews_of([], 8, 0.5, uses_gpus=True)
    assert crews == {
        "color": Crew(8, "color", 0.5),
        "light": Crew(8, "light"),
        "render": Crew(8, "render", 0.5),
    }


@given(NODES, st.integers(1, 40), SHARES)
def test_workers_of_a_node_share_its_cores_wherever_they_come_to_live(nodes, workers, share):
    threads = threads_of(nodes, workers, share)
    for node in nodes:
        if node.gpus and node.does("color"):
            here = min(workers, node.places(share))
            assert threads == 1 or threads * here <= node.cpus


def test_cores_of_nodes_without_gpus_are_none_of_a_gpu_workers():
    """Before, the cluster's cores were divided by its workers: 160 threads on a node of 16."""
    nodes = [Node("gpu", 16, 1), Node("cpu", 64), Node("cpu", 64)]
    assert threads_of(nodes, 1, 1.0) == 16
