"""Kinds of work on labelled nodes of a real Ray, whose GPUs are made up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray_tasks import WhichNode

from medcolor.errors import InputError
from medcolor.run.nodes import LABEL
from medcolor.run.ray_pool import RayRunner

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280), pytest.mark.xdist_group("ray")]
SMALL = {"object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def cluster():
    """A head that does nothing, and three nodes with one kind of work each."""
    helpers = str(Path(__file__).parents[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([helpers, os.environ.get("PYTHONPATH", "")]))
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL},
        )
        nodes = {
            "color": {"num_cpus": 3, "num_gpus": 1},
            "light": {"num_cpus": 2},
            "render": {"num_cpus": 1},
        }
        for label, resources in nodes.items():
            made.add_node(labels={LABEL: label}, **resources, **SMALL)
        ray.init(address=made.address, logging_level="warning")
    yield made
    ray.shutdown()
    made.shutdown()


def test_each_kind_of_work_is_done_where_the_labels_say(cluster):
    runner = RayRunner(cluster.address, None, gpu_share=0.5)
    assert (runner.workers, runner.threads) == (2, 1)
    for work in ("color", "light", "render"):
        found = runner.run(WhichNode, range(4), work=work)
        assert {outcome.report for outcome in found} == {work}
        looked = runner.on_every_node(WhichNode.label, work)
        assert list(looked.values()) == [work]
    assert sorted(runner.on_every_node(WhichNode.label).values()) == ["color", "light", "render"]
    runner.release()


def test_a_node_whose_label_names_no_work_ends_the_run_at_once(cluster):
    added = cluster.add_node(num_cpus=1, labels={LABEL: "colour"}, **SMALL)
    cluster.wait_for_nodes()
    with pytest.raises(InputError, match=r"medcolor/work=colour names no work\. Use one of color"):
        RayRunner(cluster.address, 1)
    cluster.remove_node(added)
