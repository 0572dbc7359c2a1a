import errno
import json
import shutil
import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import make_photographs, make_scan
from trees import tree_bytes

import medcolor
from medcolor.config import RunSettings
from medcolor.progress import Silent
from medcolor.run import workers
from medcolor.run.index import build_index
from medcolor.run.index_pictures import query_index
from medcolor.run.serial import SerialRunner
from medcolor.run.votes_files import write_votes
from medcolor.transfer.settings import OpacitySettings
from medcolor.volume.images import read_image
from medcolor.volume.store import read_levels, read_slices

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("driver")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "scan.ome.zarr"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A scan and photographs as the fixtures of those names make them; not to be changed."""
    folder = tmp_path_factory.mktemp("inputs")
    return make_scan(folder / "scan.nii.gz"), make_photographs(folder / "photographs")


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory, quick):
    """A run of them and its report; to be looked at."""
    output = tmp_path_factory.mktemp("undisturbed") / "scan.ome.zarr"
    return output, medcolor.colorize_volume(*inputs, output, settings=quick)


@pytest.fixture(scope="module")
def with_two_threads(inputs, tmp_path_factory, quick):
    """The volumes that two threads made, by their look."""

    @cache
    def made(look):
        output = tmp_path_factory.mktemp("two") / "scan.ome.zarr"
        settings = with_threads(looking(quick, look), 2)
        medcolor.colorize_volume(*inputs, output, settings=settings)
        return output

    return made


def with_threads(settings: RunSettings, threads: int) -> RunSettings:
    return settings.model_validate(
        settings.model_dump() | {"compute": {"device": "cpu", "threads": threads}}
    )


def looking(settings: RunSettings, look: str) -> RunSettings:
    """Return the settings with another look, and that how photographs lie is to be found."""
    changed = {"transfer": {"look": look}, "reference": {"orientation": "auto"}}
    return settings.model_validate(settings.model_dump() | changed)


def test_every_slice_is_coloured_and_its_alpha_is_the_scan(undisturbed):
    output, report = undisturbed
    assert report.is_complete
    assert report.slices == report.slices_colored == 10
    rgba = read_slices(output, 0, range(10))
    assert rgba.shape == (10, 48, 48, 4)
    for slab in rgba:
        shown = slab[slab[..., 3] > 100]
        assert len(shown) > 100
        assert np.ptp(shown[:, :3].astype(int), axis=1).mean() > 20
    corner = rgba[:, :4, :4]
    assert not corner.any()


def test_the_run_leaves_its_record_beside_the_volume(inputs, undisturbed):
    (scan, _), (output, _) = inputs, undisturbed
    folder = output.with_name("scan.ome.zarr.run")
    run = json.loads((folder / "run.json").read_text())
    assert run["complete"]
    assert run["versions"]["torch"]
    assert set(run["slice_seconds"]) >= {"reading", "features", "matching", "transfer", "writing"}
    assert str(scan) not in (folder / "run.json").read_text()
    table = pq.read_table(folder / "assignment.parquet").to_pydict()
    assert table["z"] == list(range(10))
    # Slices run to the head, photographs to the feet.
    assert np.all(np.diff(table["position_mm"]) <= 0)
    assert not (folder / "staging").exists()


def test_a_second_run_keeps_everything(scan, photographs, output, quick):
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    before = tree_bytes(output)
    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert report.slabs_done == 0
    assert report.slabs_kept == 3
    assert tree_bytes(output) == before


def test_a_run_cut_short_is_resumed_to_the_same_bytes(
    scan, photographs, output, quick, undisturbed, monkeypatch
):
    real, written = workers.write_slab, []

    def fill_the_disk(*args):
        if len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(real(*args))

    monkeypatch.setattr(workers, "write_slab", fill_the_disk)
    with pytest.raises(medcolor.RunError, match="the disk is full"):
        medcolor.colorize_volume(scan, photographs, output, settings=quick)
    monkeypatch.setattr(workers, "write_slab", real)

    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)

    assert report.slabs_kept == 1
    assert tree_bytes(output) == tree_bytes(undisturbed[0])


def test_a_slab_that_always_fails_is_listed_and_the_others_are_kept(
    scan, photographs, output, quick, monkeypatch
):
    real = workers.write_slab

    def poisoned(path, level, slices, rgba):
        if slices.start == 4:
            raise ValueError("poison")
        real(path, level, slices, rgba)

    monkeypatch.setattr(workers, "write_slab", poisoned)
    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)

    assert not report.is_complete
    assert report.slabs_done == 2
    folder = output.with_name("scan.ome.zarr.run")
    (line,) = (folder / "failures.jsonl").read_text().splitlines()
    assert json.loads(line)["problem"] == "ValueError"

    monkeypatch.setattr(workers, "write_slab", real)
    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert report.is_complete
    assert report.slabs_kept == 2
    assert not (folder / "failures.jsonl").exists()


def poison_votes(monkeypatch, bad):
    """Let no votes of a slice be written; return the slices whose votes are."""
    matched = []

    def poisoned(folder, z, votes):
        if z == bad:
            raise ValueError("poison")
        matched.append(z)
        return write_votes(folder, z, votes)

    monkeypatch.setattr(workers, "write_votes", poisoned)
    return matched


def test_a_slab_that_cannot_be_matched_leaves_all_uncoloured_and_is_all_that_is_left_to_match(
    scan, photographs, output, quick, undisturbed, monkeypatch
):
    matched = poison_votes(monkeypatch, 9)
    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert [(one.task.stage, one.task.number) for one in report.failures] == [("match", 2)]
    assert report.slabs_done == report.slices_colored == 0
    assert set(matched) >= set(range(8))
    folder = output.with_name("scan.ome.zarr.run")
    assert not (folder / "model.npz").exists()

    matched = poison_votes(monkeypatch, None)
    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert report.is_complete
    assert set(matched) == {8, 9}
    assert tree_bytes(output) == tree_bytes(undisturbed[0])
    assert not (folder / "votes").exists()


def test_in_the_look_of_the_paper_a_slab_that_cannot_be_matched_costs_itself_alone(
    scan, photographs, output, quick, monkeypatch
):
    paper = looking(quick, "paper")
    matched = poison_votes(monkeypatch, 9)
    report = medcolor.colorize_volume(scan, photographs, output, settings=paper)
    failed = {(one.task.stage, one.task.number) for one in report.failures}
    assert failed == {("match", 2), ("level0", 2)}
    assert report.slabs_done == 2

    matched = poison_votes(monkeypatch, None)
    report = medcolor.colorize_volume(scan, photographs, output, settings=paper)
    assert report.is_complete
    assert set(matched) == {8, 9}
    folder = output.with_name("scan.ome.zarr.run")
    assert not (folder / "votes").exists()
    assert not (folder / "model.npz").exists()


def test_the_way_photographs_lie_is_found(scan, tmp_path, quick, undisturbed, with_two_threads):
    frames = make_photographs(tmp_path / "photographs")
    plain, (said, _) = with_two_threads("photograph"), undisturbed
    for frame in frames.iterdir():
        cv2.imwrite(str(frame), cv2.imread(str(frame))[::-1])
    found = tmp_path / "found.ome.zarr"
    medcolor.colorize_volume(scan, frames, found, settings=looking(quick, "photograph"))

    expected = read_slices(said, 0, range(10))
    for volume, orientation in ((plain, "LAI"), (found, "LPI")):
        np.testing.assert_array_equal(read_slices(volume, 0, range(10)), expected)
        run = json.loads((volume.with_name(f"{volume.name}.run") / "run.json").read_text())
        assert run["photographs"]["orientation"] == orientation


@pytest.mark.parametrize(
    ("threads", "slab_slices", "look"),
    [
        *((1, 1, "photograph"), (3, 2, "photograph"), (2, 16, "photograph")),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, 2, "scan"), (3, 5, "paper"))),
    ],
)
def test_pixels_and_the_model_do_not_depend_on_threads_or_slabs(
    inputs, with_two_threads, tmp_path, quick, threads, slab_slices, look
):
    """Of three slabs of four slices, and of other slabs, of which layers of the model know none."""
    other = tmp_path / "other.ome.zarr"
    changed = with_threads(looking(quick, look), threads).model_dump()
    changed["store"] |= {"slab_slices": slab_slices, "chunk": [1, 16, 16]}
    medcolor.colorize_volume(*inputs, other, settings=RunSettings.model_validate(changed))
    one = with_two_threads(look)
    np.testing.assert_array_equal(read_slices(one, 0, range(10)), read_slices(other, 0, range(10)))
    models = [path.with_name(f"{path.name}.run") / "model.npz" for path in (one, other)]
    if look == "paper":
        assert not any(model.exists() for model in models)
        return
    with np.load(models[0]) as mine, np.load(models[1]) as theirs:
        for name in ("curve", "lightness_error"):
            np.testing.assert_array_equal(mine[name], theirs[name])


def test_other_settings_are_refused_unless_forced(scan, photographs, output, quick):
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    changed = quick.model_dump()
    changed["transfer"] |= {"gamma": 0.75}
    changed = RunSettings.model_validate(changed)
    before = tree_bytes(output)

    with pytest.raises(medcolor.InputError, match=r"other settings, 3 slabs are done.*--force"):
        medcolor.colorize_volume(scan, photographs, output, settings=changed)
    assert tree_bytes(output) == before

    report = medcolor.colorize_volume(scan, photographs, output, settings=changed, force=True)
    assert report.slabs_done == 3


def test_another_scan_under_the_same_name_is_refused(scan, photographs, output, quick):
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    make_scan(scan, size=40)
    with pytest.raises(medcolor.InputError, match="other target"):
        medcolor.colorize_volume(scan, photographs, output, settings=quick)


def test_a_volume_whose_ledger_was_lost_is_made_good_where_it_lies(
    scan, photographs, output, quick
):
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    before = tree_bytes(output)
    shutil.rmtree(output.with_name("scan.ome.zarr.run"))
    changed = quick.model_copy(update={"opacity": OpacitySettings(gradient=0.5)})
    with pytest.raises(medcolor.InputError, match="not written by medcolor"):
        medcolor.colorize_volume(scan, photographs, output, settings=changed)
    assert tree_bytes(output) == before
    report = medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert report.slabs_kept == 0
    assert tree_bytes(output) == before


def test_a_plan_that_was_damaged_is_made_good(scan, photographs, output, quick):
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    before = tree_bytes(output)
    (output.with_name("scan.ome.zarr.run") / "plan.json").write_bytes(b"")
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert tree_bytes(output) == before


def test_a_folder_of_somebody_elses_is_never_touched(scan, photographs, output, quick):
    output.mkdir(parents=True)
    (output / "thesis.doc").write_text("years of work")
    for force in (False, True):
        with pytest.raises(medcolor.InputError, match="not written by medcolor"):
            medcolor.colorize_volume(scan, photographs, output, settings=quick, force=force)
    assert (output / "thesis.doc").read_text() == "years of work"


@pytest.mark.parametrize("broken", ["references", "target"])
def test_bad_input_leaves_nothing_behind(scan, photographs, output, quick, broken, tmp_path):
    if broken == "references":
        photographs = tmp_path / "none"
    else:
        scan.write_bytes(scan.read_bytes()[:200])
    with pytest.raises(medcolor.InputError):
        medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert not output.exists()
    assert not output.with_name("scan.ome.zarr.run").exists()


def test_an_index_built_before_gives_the_same_volume(inputs, undisturbed, tmp_path, quick):
    scan, photographs = inputs
    build_index(photographs, tmp_path / "index", quick, SerialRunner(), Silent())
    straight, indexed = undisturbed[0], tmp_path / "indexed.ome.zarr"
    medcolor.colorize_volume(scan, tmp_path / "index", indexed, settings=quick)
    assert tree_bytes(straight) == tree_bytes(indexed)


def test_empty_photographs_are_left_out_and_told(photographs, output, quick, scan, caplog):
    cv2.imwrite(str(photographs / "990.png"), np.full((60, 60, 3), 255, np.uint8))
    medcolor.colorize_volume(scan, photographs, output, settings=quick)
    assert "1 of 7 photographs are empty" in caplog.text
    table = pq.read_table(output.with_name("scan.ome.zarr.run") / "assignment.parquet").to_pydict()
    assert min(table["position_mm"]) >= 1000


def test_a_photograph_finds_itself_in_the_index(photographs, tmp_path, quick):
    build_index(photographs, tmp_path / "index", quick, SerialRunner(), Silent())
    dark = make_photographs(tmp_path / "dark")
    image = read_image(dark / "1010.png")[::-1]
    grey = image.mean(axis=-1)
    grey[(image == 255).all(axis=-1)] = 0
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    found = query_index(tmp_path / "index", tmp_path / "grey.png", quick, 2)
    assert len(found) == 2
    assert found[0].cosine >= found[1].cosine


def test_the_pyramid_is_complete(photographs, tmp_path, quick):
    large = make_scan(tmp_path / "large.nii", slices=6, size=160)
    output = tmp_path / "large.ome.zarr"
    medcolor.colorize_volume(large, photographs, output, settings=quick)
    levels = read_levels(output)
    assert [level.shape for level in levels] == [(6, 160, 160), (6, 80, 80)]
    assert read_slices(output, 1, range(6))[..., 3].max() > 200


def test_local_mode_never_imports_ray(scan, photographs, output):
    code = (
        "import sys, medcolor; from medcolor.config import load_settings;"
        f"medcolor.colorize_volume({str(scan)!r}, {str(photographs)!r}, {str(output)!r},"
        "settings=load_settings(None, ['features.working_size_px=32']));"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "False"


def test_slices_without_a_body_stay_empty(photographs, output, quick, tmp_path):
    import nibabel as nib

    path = make_scan(tmp_path / "scan.nii")
    image = nib.load(path)
    voxels = np.asarray(image.dataobj).copy()
    voxels[:, :, :3] = 0
    nib.save(nib.Nifti1Image(voxels, image.affine), path)
    medcolor.colorize_volume(path, photographs, output, settings=quick)
    rgba = read_slices(output, 0, range(10))
    assert not rgba[:3].any()
    assert rgba[3:, ..., 3].any(axis=(1, 2)).all()
