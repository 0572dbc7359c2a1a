"""What is decided once a run about where it computes, with made-up GPUs."""

from __future__ import annotations

import itertools
import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import make_photographs, make_scan
from trees import tree_bytes

import medcolor
from medcolor import gpu, pair_limit, votes
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.evaluate import demo
from medcolor.evaluate.across import write_case
from medcolor.reference.library import list_references
from medcolor.run import driver, estimate, plan, workers
from medcolor.run.look import look_at
from medcolor.run.plan import Capabilities, resolve_hardware
from medcolor.run.serial import SerialRunner
from medcolor.run.tasks import Done
from medcolor.stopwatch import Stopwatch

CONFIGS = Path(__file__).parents[2] / "configs"
ON_CPUS_ALONE = {
    "paper.yaml": "search=patchmatch",
    "matching/paper.yaml": "search=patchmatch",
    "photographs.yaml": "propagation",
}


class Node(SerialRunner):
    """A runner whose worker sees an H100."""

    is_local = False

    def run(self, _make_worker, tasks, **_options):
        yield Done(tasks[0], Capabilities(True, ("cpu", "cuda"), "H100"))


@pytest.mark.parametrize(
    "name", sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml"))
)
def test_shipped_settings_run_where_they_can_or_are_refused_before_anything_is_computed(
    name, caplog
):
    """`auto` works for all; a GPU is refused where it cannot do what is set, in one line."""
    path, what = CONFIGS / name, ON_CPUS_ALONE.get(name)
    with caplog.at_level(logging.WARNING):
        compute = resolve_hardware(load_settings(path), Node()).compute
    assert (compute.device, compute.card) == (("cpu", "") if what else ("cuda", "H100"))
    assert ("runs on CPUs alone" in caplog.text) == bool(what)
    asked = load_settings(path, ["compute.device=cuda"])
    if what is None:
        assert resolve_hardware(asked, Node()).compute.device == "cuda"
        return
    with pytest.raises(InputError, match=rf"matching\.{what}: .*compute.device=cpu") as caught:
        resolve_hardware(asked, Node())
    assert "\n" not in str(caught.value)


def test_search_by_patchmatch_at_levels_that_are_not_matched_needs_no_cpu():
    search = "[global, window, window, patchmatch, patchmatch]"
    sets = [f"matching.search={search}", "matching.finest_level=relu3_1"]
    assert resolve_hardware(load_settings(None, sets), Node()).compute.device == "cuda"


def test_bits_depend_on_the_card_and_not_on_how_many_pairs_are_matched_at_once():
    def digest(*sets):
        return resolve_hardware(load_settings(None, [*sets]), Node()).digest()

    on_h100 = digest()
    assert on_h100 == digest("compute.batch_pairs=3")
    assert on_h100 == digest("compute.card=H100")
    assert len({on_h100, digest("compute.card=A100"), digest("compute.card=any")}) == 3
    cpu = digest("compute.device=cpu")
    assert cpu == digest("compute.device=cpu", "compute.card=A100") != on_h100


def test_a_worker_with_another_card_refuses(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A100")
    plan._refuse_other_card("A100")
    plan._refuse_other_card("any")
    with pytest.raises(InputError, match=r"is a A100, the run computes on H100.*compute\.card=any"):
        plan._refuse_other_card("H100")


def test_float32_is_exact_and_sums_keep_their_order(monkeypatch):
    flags = {
        torch.backends.cuda.matmul: {"allow_tf32": False},
        torch.backends.cudnn: {"allow_tf32": False, "benchmark": False, "deterministic": True},
    }
    for backend, values in flags.items():
        for name, value in values.items():
            monkeypatch.setattr(backend, name, not value)
    gpu.compute_repeatably()
    for backend, values in flags.items():
        assert {name: getattr(backend, name) for name in values} == values


class FakeEvent:
    """An event of a GPU that takes a second from one mark to the next."""

    clock = itertools.count()

    def __init__(self, **_):
        self.at = None

    def record(self):
        self.at = next(FakeEvent.clock)

    def synchronize(self):
        assert self.at is not None

    def elapsed_time(self, other):
        return 1000.0 * (other.at - self.at)


def test_stages_of_a_gpu_take_as_long_as_it_works_not_as_handing_over_takes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    stopwatch = Stopwatch()
    for _ in range(2):
        with stopwatch("matching", torch.device("cuda")):
            pass
    with stopwatch("reading"):
        pass
    assert stopwatch.seconds["matching"] == 2.0
    assert stopwatch.seconds["reading"] < 0.5
    with stopwatch("matching", torch.device("cpu")):
        pass
    assert 2.0 <= stopwatch.seconds["matching"] < 2.5


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return make_scan(folder / "scan.nii.gz", slices=8), make_photographs(folder / "photographs")


@pytest.mark.parametrize(("device", "host_mb", "gpu_mb"), [("cpu", 812, 70), ("cuda", 300, 582)])
def test_photographs_count_as_gpu_memory_where_they_lie_there(
    inputs, tmp_path, quick, device, host_mb, gpu_mb
):
    compute = replace(quick.compute, device="cpu", reference_memory_mb=512)
    settings = resolve_hardware(quick.model_copy(update={"compute": compute}))
    looked = look_at(*inputs, tmp_path / "out.ome.zarr", settings, SerialRunner(), tmp_path).plan
    compute = replace(looked.settings.compute, device=device)
    there = replace(looked, settings=looked.settings.model_copy(update={"compute": compute}))
    tried = estimate.Tried(0.1, 0.5, 0.01, 0.01, 0.3, 5000.0, 300 * 2**20, 70 * 2**20)
    found = estimate._add_up(there, tried, 6, False, SerialRunner())
    assert (found.host_mb, found.gpu_mb) == (host_mb, gpu_mb)


def test_what_is_compiled_on_first_use_is_no_part_of_what_a_plan_foretells(
    inputs, tmp_path, quick, monkeypatch
):
    """By a clock that stands still, but for a second at the first of everything."""
    compute = replace(quick.compute, device="cpu", threads=1)
    settings = resolve_hardware(quick.model_copy(update={"compute": compute}))
    looked = look_at(*inputs, tmp_path / "out.ome.zarr", settings, SerialRunner(1), tmp_path).plan
    clock, compiled = [0.0], set()

    def slow_at_first(name, function):
        def work(*given):
            clock[0] += name not in compiled
            compiled.add(name)
            return function(*given)

        return work

    names = {"prepare_references", "vote_on_slices", "color_slice", "describe"}
    for name in names:
        monkeypatch.setattr(estimate, name, slow_at_first(name, getattr(estimate, name)))
    monkeypatch.setattr(estimate, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    tried = estimate.TrySlices(looked, list_references(inputs[1], settings.reference))("try")
    assert compiled == names
    assert tried.slice_s == tried.preparation_s == tried.description_s == 0


def test_a_slab_whose_pairs_do_not_fit_is_done_by_fewer_at_once_and_says_so(
    inputs, tmp_path, quick, monkeypatch, caplog
):
    """The bytes are those of pairs matched one after another, photographs prepared when needed."""
    real, begin = votes.match_coarse_to_fine, workers.MatchSlab.__init__

    def match(targets, *rest):
        if len(targets) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(targets, *rest)

    def begin_as_on_gpu(self, *given):
        begin(self, *given)
        self._on_gpu = True  # photographs are prepared ahead

    one, few = tmp_path / "one.ome.zarr", tmp_path / "few.ome.zarr"
    assert medcolor.colorize_volume(*inputs, one, settings=quick).gpu_halvings == 0
    monkeypatch.setattr(workers.MatchSlab, "__init__", begin_as_on_gpu)
    monkeypatch.setattr(workers, "pairs_at_once", lambda *_: 6)
    monkeypatch.setattr(votes, "match_coarse_to_fine", match)
    with caplog.at_level(logging.WARNING):
        report = medcolor.colorize_volume(*inputs, few, settings=quick)
    assert report.is_complete
    assert report.gpu_halvings == 1
    told = json.loads((few.with_name(few.name + ".run") / "run.json").read_text())
    assert told["gpu_halvings"] == 1
    assert "did not hold as many pairs as expected" in caplog.text
    assert tree_bytes(one) == tree_bytes(few)


class AllIsMatchedError(Exception):
    """Ends a run of which matching alone is looked at."""


def test_launches_of_the_demo_are_full(tmp_path, monkeypatch):
    """Slices without a body take no place, whatever photographs the others hear."""
    launches = []

    def count(targets, references, *_):
        shown = [
            len(heard)
            for target, heard in zip(targets, references, strict=True)
            if target.body.any()
        ]
        launches.append(sum(shown))
        return iter(())

    def stop(*_):
        raise AllIsMatchedError

    files = write_case(demo._CASE, tmp_path)
    monkeypatch.setattr(workers, "pairs_at_once", lambda *_: pair_limit.GPU_PAIRS)
    monkeypatch.setattr(workers, "vote_on_slices", count)
    monkeypatch.setattr(driver, "make_model", stop)
    settings = load_settings(None, ["features.working_size_px=32", "compute.device=cpu"])
    with pytest.raises(AllIsMatchedError):
        medcolor.colorize_volume(files.scan, files.photographs, tmp_path / "v", settings=settings)
    full = [pairs for pairs in launches if pairs]
    assert max(full) == pair_limit.GPU_PAIRS
    assert sum(full) / len(full) >= 0.9 * pair_limit.GPU_PAIRS
