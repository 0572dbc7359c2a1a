"""The simulator of GPU nodes, held to what can be said without one, and its page to it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "jobs"))

from node_model import Costs, Run, Site  # noqa: E402
from simulate_node import page  # noqa: E402
from virtual_time import Clock, Pool, Server, overlapped  # noqa: E402

FREE = Costs(**dict.fromkeys((one.name for one in fields(Costs)), 0.0))
"""Nothing costs anything."""

N = 64 * 32
BODY = Site(slices=N, gpus_a_node=8)


def seconds_of(run, name):
    (found,) = [one for one in run.passes if one.name == name]
    return found


@pytest.mark.parametrize("gpus", [1, 2, 8, 64])
def test_where_gpus_alone_work_twice_as_many_take_half_the_time(gpus):
    run = Run(replace(BODY, gpus=gpus), replace(FREE, matching_s=0.004))
    assert run.seconds == pytest.approx(0.004 * N / gpus)
    assert seconds_of(run, "match").busy["GPU"] == pytest.approx(1.0)
    assert seconds_of(run, "match").bound == "GPU"


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
def test_a_gpu_that_is_busy_does_no_more_for_more_workers(share):
    run = Run(replace(BODY, gpu_share=share), replace(FREE, counting_s=0.002))
    assert run.seconds == pytest.approx(2 * 0.002 * N)  # while matching, and again


@pytest.mark.parametrize(("gpus", "gpus_a_node"), [(1, 1), (8, 8), (16, 4)])
def test_where_cores_alone_work_the_time_is_theirs(gpus, gpus_a_node):
    """Decoding by one core more than there are threads, but no more than there are cores."""
    site = replace(BODY, gpus=gpus, gpus_a_node=gpus_a_node, slab_slices=N // gpus)
    run = Run(site, replace(FREE, composing_s=0.016))
    assert seconds_of(run, "color").seconds == pytest.approx(0.016 * N / (16 * gpus))
    assert seconds_of(run, "color").bound == "cores"


@pytest.mark.parametrize("share", [1.0, 0.5, 0.125])
def test_what_is_under_pythons_lock_is_done_by_one_thread_of_each_process(share):
    site = replace(BODY, gpu_share=share, slab_slices=round(N * share))
    run = Run(site, replace(FREE, unpacking_s=0.007, lock_share=1.0))
    assert seconds_of(run, "count").seconds == pytest.approx(0.007 * N * share)
    assert seconds_of(run, "count").busy["lock"] == pytest.approx(1.0)


@pytest.mark.parametrize("gpus", [1, 8, 64])
def test_a_full_bucket_is_as_fast_for_one_gpu_as_for_many(gpus):
    site = replace(BODY, gpus=gpus, gpus_a_node=1, bucket_bytes_s=1e8)
    run = Run(site, replace(FREE, votes_bytes=4e6, scan_bytes=5e5))
    copies = 5e5 * N * gpus / 1e8  # the scan goes to every node
    assert run.seconds == pytest.approx(copies + 2 * 4e6 * N / 1e8)
    assert seconds_of(run, "match").bound == "bucket"


@pytest.mark.parametrize("gpus", [1, 2, 4, 16, 64])
def test_what_the_driver_does_alone_bounds_what_gpus_are_worth(gpus):
    """Amdahl's law: with two fits of 5 s beside 10 s of GPUs, never twice as fast."""
    costs = replace(FREE, fit_s=5.0, painting_s=10.0 / N)
    found = Run(replace(BODY, gpus=gpus), costs).seconds
    assert found == pytest.approx(10.0 + 10.0 / gpus)
    assert Run(BODY, costs).seconds / found < 2.0


def test_the_last_slab_makes_others_wait():
    """Three slabs on two GPUs take as long as four."""
    three = Run(Site(gpus=2, slices=96), replace(FREE, painting_s=0.01))
    assert three.seconds == pytest.approx(2 * 32 * 0.01)


COSTS = st.builds(
    Costs,
    **{
        one.name: st.floats(0, 1 if one.name == "lock_share" else 0.05)
        for one in fields(Costs)
        if not one.name.endswith("_bytes")
    },
    **{one.name: st.floats(0, 1e7) for one in fields(Costs) if one.name.endswith("_bytes")},
)
SITES = st.builds(
    Site,
    gpus=st.integers(1, 9),
    gpus_a_node=st.integers(1, 4),
    cores_a_gpu=st.integers(1, 16),
    gpu_share=st.sampled_from([1.0, 0.5, 0.25]),
    bucket_bytes_s=st.sampled_from([1e8, 1e10, float("inf")]),
    slices=st.integers(1, 200),
    slab_slices=st.integers(1, 40),
    pairs=st.integers(1, 40),
)


@settings(max_examples=60, deadline=None)
@given(SITES, COSTS)
def test_nothing_is_busier_than_always_and_somebody_always_works(site, costs):
    """No pass is longer than all of its work in a row, or shorter than what one place has to do."""
    run = Run(site, costs)
    assert run.passes == Run(site, costs).passes, "nothing is random"
    workers = site.gpus * round(1 / site.gpu_share)
    cores = site.cores_a_gpu * site.gpus
    places = {"GPU": site.gpus, "cores": cores, "lock": max(workers, cores), "bucket": 1}
    slabs = -(-site.slices // site.slab_slices)
    for one in run.passes:
        assert all(-1e-9 <= share <= 1 + 1e-9 for share in one.busy.values())
        if one.busy:
            in_a_row = one.seconds * sum(one.busy[name] * count for name, count in places.items())
            assert one.seconds <= in_a_row + slabs * costs.task_s + 1e-6


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("slow", ["load", "work", "save"])
def test_queues_hold_what_the_real_ones_may(threads, slow):
    """As `threads.overlapped` promises: loaded and not worked on, worked on and not saved."""
    peaks, done = Counter(), {name: [] for name in ("load", "work", "save")}
    clock, server = Clock(), Server("one", 1)
    began, ended = Counter(), Counter()

    def stage(name, before=None):
        def process(item):
            began[name] += 1
            if before:
                assert item in done[before]
            yield [(server if name == slow else None, 1.0 if name == slow else 1e-3)]
            ended[name] += 1
            done[name].append(item)
            peaks["loaded"] = max(peaks["loaded"], ended["load"] - began["work"])
            peaks["worked"] = max(peaks["worked"], ended["work"] - began["save"])

        return process

    clock.start(
        overlapped(
            clock, range(40), stage("load"), stage("work", "load"), stage("save", "work"), threads
        )
    )
    clock.run()
    assert all(sorted(some) == list(range(40)) for some in done.values())
    assert peaks["loaded"] <= threads + 1
    assert peaks["worked"] <= 2 * threads + 2
    assert clock.now == pytest.approx(40.0, abs=0.5)


def test_a_pool_does_no_more_at_once_than_it_has_threads():
    clock, peak, now = Clock(), [0], [0]

    def process():
        now[0] += 1
        peak[0] = max(peak[0], now[0])
        yield [(None, 1.0)]
        now[0] -= 1

    pool = Pool(clock, 3)
    for _ in range(10):
        pool.submit(process())
    clock.run()
    assert (peak[0], clock.now) == (3, 4.0)


def test_the_page_of_the_documents_is_what_the_command_prints():
    """If not: python jobs/simulate_node.py --page > docs/throughput.md."""
    assert (ROOT / "docs" / "throughput.md").read_text() == page()
