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
from medcolor.prepared import crop_slice
from medcolor.reference.library import list_references
from medcolor.run import driver, estimate, hardware, plan, slab_report, threads, workers
from medcolor.run.ledger import Ledger
from medcolor.run.look import look_at
from medcolor.run.plan import Capabilities, resolve_hardware
from medcolor.run.report import RunReport
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
    hardware.refuse_other_card("A100")
    hardware.refuse_other_card("any")
    with pytest.raises(InputError, match=r"is a A100, the run computes on H100.*compute\.card=any"):
        hardware.refuse_other_card("H100")


GIB = 2**30


def test_workers_that_share_a_gpu_do_not_take_more_than_it_has():
    """CUDA itself takes memory in each process, which no share of torch's counts."""
    assert hardware.memory_share(1.0, 80 * GIB) == 1.0
    assert hardware.memory_share(0.7, 80 * GIB) == 0.7, "no second one has room"
    for share in (0.5, 1 / 3, 0.25, 0.1):
        count = round(1 / share)
        tensors = hardware.memory_share(share, 80 * GIB) * 80 * GIB
        assert 0 < tensors < share * 80 * GIB
        assert count * (tensors + hardware._CONTEXT_BYTES) <= 80 * GIB * (1 + 1e-9)
    with pytest.raises(
        InputError, match=r"compute\.gpu_share=0\.01: 100 processes alone fill a GPU"
    ):
        hardware.memory_share(0.01, 24 * GIB)


@pytest.fixture
def card(monkeypatch):
    """A made-up H100; returns what was set in this process."""
    told = {}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (70 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * GIB)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share: told.update(share=share)
    )
    monkeypatch.setattr(
        hardware, "compute_repeatably", lambda *, tf32: told.update(is_repeatable=True, tf32=tf32)
    )
    hardware._take_share.cache_clear()
    yield told
    hardware._take_share.cache_clear()


def test_a_share_of_a_gpu_is_enforced_and_said(card, caplog):
    settings = resolve_hardware(load_settings(None, ["compute.gpu_share=0.5"]), Node())
    with caplog.at_level(logging.INFO):
        assert hardware.open_device(settings) == torch.device("cuda")
    assert card == {
        "share": pytest.approx(0.5 - 640 / 1024 / 80),
        "is_repeatable": True,
        "tf32": True,
    }
    assert "GPU memory: at most 39.4 of 80.0 GiB of this H100" in caplog.text
    assert hardware.gpu_limit_bytes(settings) == int(card["share"] * 80 * GIB)
    on_cpu = load_settings(None, ["compute.device=cpu"])
    assert hardware.gpu_limit_bytes(on_cpu) == 0
    assert hardware.open_device(on_cpu) == torch.device("cpu")


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "2"])
def test_no_worker_has_more_than_one_gpu(share):
    with pytest.raises(InputError, match=r"gpu_share must be in \(0, 1\]"):
        load_settings(None, [f"compute.gpu_share={share}"])


def test_every_worker_that_computes_on_a_gpu_has_its_share_and_its_order_of_sums(
    inputs, tmp_path, quick, card, monkeypatch
):
    """Of a run that goes on, or after another has died, it may colour and never load a network."""
    settings = resolve_hardware(quick, Node())
    here = resolve_hardware(
        quick.model_copy(update={"compute": replace(quick.compute, device="cpu")})
    )
    looked = look_at(*inputs, tmp_path / "out.ome.zarr", here, SerialRunner(), tmp_path).plan
    there = replace(looked, settings=settings)
    to = SimpleNamespace(to=lambda device: device)
    monkeypatch.setattr(workers, "model_of", lambda _: to)
    monkeypatch.setattr(workers, "find_model", lambda *_: to)
    for make in (lambda: workers.ColorSlab(there), lambda: workers.CountSlab(there, "draft")):
        card.clear()
        hardware._take_share.cache_clear()
        assert make()._device == torch.device("cuda")
        assert card == {"share": 1.0, "is_repeatable": True, "tf32": True}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A100")
    with pytest.raises(InputError, match="is a A100, the run computes on H100"):
        workers.ColorSlab(there)


@pytest.mark.usefixtures("card")
def test_a_slab_says_how_long_its_gpu_worked_and_how_long_it_had_nothing_to_do(monkeypatch):
    """By clocks that tests move; a slab on a CPU says nothing of it."""
    settings = resolve_hardware(load_settings(None, []), Node())
    now, worked = [100.0], [7.0]
    monkeypatch.setattr(slab_report, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(slab_report, "busy_seconds", lambda: worked[0])
    clock = slab_report.Clock(settings)
    now[0] += 10.0
    worked[0] += 6.0
    task = plan.SlabTask("match", 0, 0, 0, 5)
    said = clock.report(task, Stopwatch(), 40)
    assert (said.slices, said.voxel_bytes, said.gpu_busy_s, said.gpu_starved_s) == (5, 40, 6.0, 4.0)
    assert (said.gpu_bytes, said.gpu_limit_bytes) == (3 * GIB, 80 * GIB)
    report = RunReport(Path("v.ome.zarr"))
    for _ in range(2):
        report.add(said, stage="match")
    assert report.gpu_seconds == {"busy": 12.0, "starved": 8.0}
    counted, seen = {}, {}

    class Watched(SerialRunner):
        def count(self, name, value, **tags):
            counted[name, *tags.values()] = value

        def observe(self, name, value, **tags):
            seen[name, *tags.values()] = value

    driver._count("match", said, Watched())
    assert counted["gpu_busy_seconds", "match"] == 6.0
    assert counted["gpu_starved_seconds", "match"] == 4.0
    assert seen["gpu_memory_limit_bytes", said.node] == 80 * GIB
    seen.clear()
    on_cpu = slab_report.Clock(load_settings(None, ["compute.device=cpu"])).report(
        task, Stopwatch()
    )
    driver._count("match", on_cpu, Watched())
    assert not [name for name, *_ in seen if "gpu" in name]
    assert on_cpu.gpu_busy_s == on_cpu.gpu_starved_s == 0.0


def test_a_gpu_is_warmed_up_by_images_as_large_as_those_of_the_run(
    inputs, tmp_path, quick, monkeypatch
):
    """Libraries plan for each shape anew: what a first slab would else have to wait for."""
    settings = resolve_hardware(
        quick.model_copy(update={"compute": replace(quick.compute, device="cpu")})
    )
    looked = look_at(*inputs, tmp_path / "out.ome.zarr", settings, SerialRunner(), tmp_path).plan
    network = SimpleNamespace(module=SimpleNamespace(device=torch.device("cuda")))
    warmed = []
    monkeypatch.setattr(plan.Plan, "open_network", lambda _: network)
    monkeypatch.setattr(workers, "pairs_at_once", lambda *_: 24)
    monkeypatch.setattr(workers, "warm_up", lambda *given: warmed.append(given))
    begun = workers.MatchSlab(looked, "RPS")
    seen = crop_slice(begun._read(looked.levels[0].shape[0] // 2), settings.features)
    assert warmed == [(network.module, settings, seen.body.shape)]
    assert max(seen.body.shape) == settings.features.working_size_px


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
    assert told["gpu_seconds"] == {"busy": 0.0, "starved": 0.0}, "there is none"
    assert "did not hold as many pairs as expected" in caplog.text
    assert tree_bytes(one) == tree_bytes(few)


def test_slices_of_the_next_slab_are_read_while_the_last_is_matched(
    inputs, tmp_path, quick, monkeypatch
):
    """Each is read once to be matched, as without, and the bytes are the same."""
    begin = workers.MatchSlab.__init__
    read, matched, early = [], [], []

    def begin_as_on_gpu(self, *given):
        begin(self, *given)
        self._on_gpu, self._loaders = True, threads.Loaders(self._plan.threads)
        opened = self._read

        def noted(z):
            read.append(z)
            return opened(z)

        self._read = noted

    def mark(self, stage, number, *rest):
        if stage == "match":
            early.append({*read} - {*matched, *range(4 * number, 4 * number + 4)})
            matched.extend(range(4 * number, 4 * number + 4))
        return real_mark(self, stage, number, *rest)

    stated = quick.model_dump() | {"store": {"slab_slices": 4, "chunk": (4, 16, 16)}}
    settings = quick.model_validate(stated)
    plain, ahead = tmp_path / "plain.ome.zarr", tmp_path / "ahead.ome.zarr"
    assert medcolor.colorize_volume(*inputs, plain, settings=settings).is_complete
    monkeypatch.setattr(workers.MatchSlab, "__init__", begin_as_on_gpu)
    real_mark = Ledger.mark_done
    monkeypatch.setattr(Ledger, "mark_done", mark)
    assert medcolor.colorize_volume(*inputs, ahead, settings=settings).is_complete
    assert sorted(read) == list(range(8))
    assert early[0] <= set(range(4, 8))
    assert early[0], "the second slab has begun before the first was done"
    assert not early[-1]
    assert tree_bytes(plain) == tree_bytes(ahead)


class AllIsMatchedError(Exception):
    """Ends a run of which matching alone is looked at."""


@pytest.mark.slow
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
