"""The runner on real Ray processes, and the whole job through `ray job submit`."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import make_scan
from ray_tasks import DiesWhileItIsMade, Foresees, ProcessNumber, Squares, WhichGpu
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.errors import InputError, RunError
from medcolor.progress import Silent
from medcolor.run.prepare import prepare_references
from medcolor.run.serial import SerialRunner
from medcolor.run.tasks import Done, Failed, loses_gpu, run_all
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.images import read_image, write_png
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, write_slab

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280), pytest.mark.xdist_group("ray")]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ray_runner():
    """A Ray of this test alone, with two actors."""
    import ray

    from medcolor.run.ray_pool import RayRunner

    helpers = str(Path(__file__).parents[1])
    paths = os.pathsep.join([helpers, os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        # Not as a runtime environment: processes that Ray has begun ahead would not have it.
        patch.setenv("PYTHONPATH", paths)
        ray.init(
            address="local",  # never a cluster that an earlier, killed test left on record
            num_cpus=5,  # for four actors and one more, whatever the machine has
            num_gpus=2,  # that are none: Ray gives out their numbers all the same
            include_dashboard=False,
            object_store_memory=200_000_000,
            logging_level="warning",
        )
    yield RayRunner("auto", 2)
    ray.shutdown()


@pytest.fixture(params=["serial", "ray"])
def runner(request):
    return SerialRunner() if request.param == "serial" else request.getfixturevalue("ray_runner")


def run(runner, scratch, tasks, worker=Squares):
    outcomes = list(runner.run(partial(worker, scratch), tasks))
    done = {outcome.task[0]: outcome.report for outcome in outcomes if isinstance(outcome, Done)}
    failed = {
        outcome.task[0]: outcome.problem for outcome in outcomes if isinstance(outcome, Failed)
    }
    return done, failed


def test_every_task_is_done_once(runner, tmp_path):
    done, failed = run(runner, tmp_path, [(n, "well") for n in range(7)])
    assert done == {n: n * n for n in range(7)}
    assert not failed


def test_a_task_that_fails_once_is_repeated_and_one_that_always_fails_is_given_up(runner, tmp_path):
    done, failed = run(runner, tmp_path, [(1, "fails once"), (2, "always fails"), (3, "well")])
    assert done == {1: 1, 3: 9}
    assert failed == {2: "ValueError: task 2"}


def test_bad_input_of_one_task_holds_no_other_up_and_stays_the_error_it_is(runner, tmp_path):
    tasks = [(1, "bad input"), (2, "well")]
    outcomes = {o.task[0]: o for o in runner.run(partial(Squares, tmp_path), tasks)}
    assert outcomes[2].report == 4
    assert isinstance(outcomes[1].error, InputError)
    with pytest.raises(InputError, match="scan: found nothing") as caught:
        run_all(runner, partial(Squares, tmp_path), tasks, lambda _: None, "here")
    assert caught.value.exit_status == 2


def test_a_worker_that_cannot_be_made_ends_the_run(runner, tmp_path):
    with pytest.raises(InputError, match="weights"):
        run(runner, tmp_path / "absent", [(1, "well"), (2, "well")])


def test_a_task_that_does_not_end_is_given_up(ray_runner, tmp_path, monkeypatch):
    monkeypatch.setattr("medcolor.run.ray_stage._LOOK_S", 0.5)
    hasty = type(ray_runner)("auto", 1, uses_gpus=False, patience_s=4.0)
    done, failed = run(hasty, tmp_path, [(1, "never ends"), (2, "well"), (3, "well")])
    assert done == {2: 4, 3: 9}
    assert "not ended after 4 s" in failed[1]
    hasty.release()


def test_a_worker_knows_what_follows_so_that_it_may_read_ahead(runner):
    """Of two workers each has a run of neighbours, until it takes a part of the other's."""
    outcomes = [(one.task, one.report) for one in runner.run(Foresees, range(8))]
    assert sorted(task for task, _ in outcomes) == list(range(8))
    assert {following - task for task, following in outcomes if following is not None} == {1}
    assert sum(following is not None for _, following in outcomes) >= 4


def test_a_worker_is_made_before_it_is_given_a_task(ray_runner, tmp_path):
    """What goes wrong while networks load and kernels compile is no task's failure."""
    one = type(ray_runner)("auto", 1, uses_gpus=False)
    tasks = [(n, "well") for n in range(3)]
    (tmp_path / "dies once").touch()
    done, failed = run(one, tmp_path, tasks, worker=DiesWhileItIsMade)
    assert (done, failed) == ({0: 0, 1: 1, 2: 4}, {})
    (tmp_path / "always fails").touch()
    with pytest.raises(RunError, match=r"5 workers in a row failed as they began.*no kernel"):
        run(one, tmp_path, tasks, worker=DiesWhileItIsMade)
    one.release()


def test_a_worker_that_is_never_ready_is_replaced(ray_runner, tmp_path, monkeypatch):
    monkeypatch.setattr("medcolor.run.ray_stage._LOOK_S", 0.5)
    hasty = type(ray_runner)("auto", 1, uses_gpus=False, patience_s=4.0)
    (tmp_path / "hangs once").touch()
    done, failed = run(hasty, tmp_path, [(1, "well")], worker=DiesWhileItIsMade)
    assert (done, failed) == ({1: 1}, {})
    hasty.release()


def test_no_tasks_are_no_work(runner, tmp_path):
    assert run(runner, tmp_path, []) == ({}, {})


def test_a_killed_actor_is_replaced_and_a_killer_given_up(ray_runner, tmp_path):
    tasks = [(1, "dies once"), (2, "always dies"), (3, "well"), (4, "well"), (5, "well")]
    done, failed = run(ray_runner, tmp_path, tasks)
    assert done == {1: 1, 3: 9, 4: 16, 5: 25}
    assert list(failed) == [2]


def test_an_actor_that_has_lost_its_gpu_is_ended_and_its_task_done_by_another(ray_runner, tmp_path):
    """Kept, it would fail every later task: with one GPU all of them."""
    one = type(ray_runner)("auto", 1, uses_gpus=False)
    done, failed = run(one, tmp_path, [(1, "loses its GPU"), (2, "well"), (3, "well")])
    assert done == {1: 1, 2: 4, 3: 9}
    assert not failed
    one.release()


def test_a_process_that_has_lost_its_gpu_ends_the_run(tmp_path):
    with pytest.raises(RunError, match=r"illegal memory access.*Run the same command again"):
        run(SerialRunner(), tmp_path, [(1, "loses its GPU"), (2, "well")])


@pytest.mark.parametrize(
    ("text", "is_lost"),
    [
        ("CUDA error: device-side assert triggered", True),
        ("Triton Error [CUDA]: an illegal memory access was encountered", True),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", False),
        ("CUDA error: out of memory", False),
        ("division by zero", False),
    ],
)
def test_only_errors_that_stay_count_as_a_lost_gpu(text, is_lost):
    error = ValueError("one slice")
    error.__cause__ = RuntimeError(text)
    assert loses_gpu(error) == is_lost


def test_each_worker_holds_a_gpu_of_its_own_or_the_share_asked_for(ray_runner, tmp_path):
    ray_runner.release()

    def held(runner, workers, **options):
        scratch = tmp_path / str(len(list(tmp_path.iterdir())))
        scratch.mkdir()
        outcomes = runner.run(partial(WhichGpu, scratch, workers), range(workers), **options)
        return sorted(outcome.report for outcome in outcomes)

    for share, workers, threads in ((1.0, 2, 2), (0.5, 4, 1)):
        runner = type(ray_runner)("auto", None, gpu_share=share)
        assert (runner.workers, runner.threads) == (workers, threads)
        assert held(runner, workers) == sorted("01" * int(1 / share))
        assert held(runner, 1, work="light") == [""]
        runner.release()
    without = type(ray_runner)("auto", None, uses_gpus=False)
    assert without.workers == 5
    assert held(without, 1) == [""]
    without.release()


def test_one_two_and_four_actors_write_the_bytes_of_one_process(
    ray_runner, scan, photographs, tmp_path, quick
):
    here = tmp_path / "here.ome.zarr"
    quick = quick.model_validate(quick.model_dump() | {"reference": {"orientation": "auto"}})
    medcolor.colorize_volume(scan, photographs, here, settings=quick)
    ray_runner.release()
    runner = type(ray_runner)("auto", 4, uses_gpus=False)
    for workers in (4, 2, 1):  # of the same actors: starting them is what takes long
        runner.workers, pool = workers, runner._pools["color"]
        pool.crew = replace(pool.crew, size=workers)
        there = tmp_path / f"{runner.workers}.ome.zarr"
        report = medcolor.colorize_volume(scan, photographs, there, settings=quick, runner=runner)
        assert report.is_complete
        assert tree_bytes(here) == tree_bytes(there)
    runner.release()


@pytest.mark.slow
def test_whole_volumes_on_actors_have_the_bytes_of_one_process(
    ray_runner, photographs, tmp_path, quick
):
    """As many volumes as workers: each is made by one, and a broken one holds none up."""
    for number in range(3):
        make_scan(tmp_path / "scans" / f"{number}.nii", slices=4 + number, size=30)
    manifest = tmp_path / "cohort.yaml"
    volumes = [{"name": f"n{n}", "target": f"scans/{n}.nii"} for n in range(4)]
    manifest.write_text(yaml.safe_dump({"volumes": volumes}))
    trees = []
    for folder, runner in (("here", SerialRunner()), ("there", ray_runner)):
        report = medcolor.colorize_cohort(
            manifest, photographs, tmp_path / folder, settings=quick, runner=runner
        )
        assert [row.state for row in report.rows.values()].count("complete") == 3
        assert report.rows["n3"].state == "failed"
        trees.append([tree_bytes(tmp_path / folder / f"n{n}.ome.zarr") for n in range(3)])
    assert trees[0] == trees[1]


def test_an_actor_lives_on_from_stage_to_stage_until_released(ray_runner):
    one = type(ray_runner)("auto", 1, uses_gpus=False)  # others hold the GPUs

    def process() -> int:
        (outcome,) = one.run(ProcessNumber, ["where"])
        return outcome.report

    first = process()
    assert process() == first
    os.kill(first, signal.SIGKILL)  # as a lost node would; no task is to blame
    second = process()
    assert second != first
    one.release()
    assert process() not in (first, second)
    one.release()


def test_two_actors_draw_the_frames_of_one_process(tmp_path, ray_runner):
    volume, spacing = tmp_path / "v.ome.zarr", (2.0, 1.0, 1.0)
    geometry = VolumeGeometry((12, 24, 24), spacing, as_affine(affine_from_code("LPS", spacing)))
    create_store(volume, geometry, StoreSettings(), {}, GreyLevels(0.0, 1.0, "raw", is_alpha=True))
    rgba = np.zeros((12, 24, 24, 4), np.uint8)
    rgba[2:10, 4:20, 6:18] = np.random.default_rng(0).integers(60, 255, (8, 16, 12, 4))
    write_slab(volume, 0, range(12), rgba)
    # Of smaller frames x264 does not always make the same video.
    settings = load_settings(None, ["render.frames=6", "render.size_px=128", "render.sections=2"])
    medcolor.render_volume(volume, tmp_path / "one", settings=settings)
    medcolor.render_volume(volume, tmp_path / "two", settings=settings, runner=ray_runner)
    assert len(list((tmp_path / "two" / "grey").iterdir())) == 6
    assert tree_bytes(tmp_path / "two") == tree_bytes(tmp_path / "one")


def test_two_actors_prepare_the_frames_of_one_process(ray_runner, photographs, tmp_path):
    settings = load_settings()
    here, there = tmp_path / "here", tmp_path / "there"
    for number in range(20):  # more than one group of frames for each actor
        rgb = read_image(photographs / "1000.png").copy()
        rgb[0, 0] = number
        write_png(photographs / f"{2000 + number}.png", rgb)
    for output, runner in ((here, SerialRunner()), (there, ray_runner)):
        report = prepare_references(photographs, output, settings, runner, Silent())
        assert report.counts["clean"] == 26
    assert tree_bytes(here) == tree_bytes(there)


@pytest.mark.usefixtures("ray_runner")
def test_dask_reads_a_scan_through_its_ray_scheduler(scan, tmp_path):
    from ray.util.dask import ray_dask_get

    from medcolor.volume.open import open_volume
    from medcolor.volume.settings import VolumeSettings

    volume = open_volume(scan, VolumeSettings(), tmp_path / "staging")
    on_ray = volume.intensity.mean(axis=(1, 2)).compute(scheduler=ray_dask_get)
    here = volume.intensity.mean(axis=(1, 2)).compute(scheduler="synchronous")
    assert on_ray.tolist() == here.tolist()
