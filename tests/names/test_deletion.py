"""Nothing is deleted or overwritten that medcolor did not itself make, also through links."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from conftest import ORIENTATION, make_photographs, make_scan
from hostile import Ground, make_ground, untouched

import medcolor
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.export.write import export
from medcolor.progress import Silent
from medcolor.reference.manifest import read_manifest
from medcolor.render import picture_set
from medcolor.render.own_png import is_marked, marked
from medcolor.run import index as run_index
from medcolor.run.ledger import Ledger
from medcolor.run.prepare import prepare_references
from medcolor.run.serial import SerialRunner
from medcolor.storage import delete_made, delete_tree
from medcolor.volume.files import digest_file
from medcolor.volume.images import encode_png, read_image

QUICK = ["features.working_size_px=32", "store.slab_slices=4", "store.chunk=[4,16,16]"]
QUICK += [f"reference.orientation={ORIENTATION}"]
SETTINGS = load_settings(None, [*QUICK, "compute.threads=1"])
OTHER = load_settings(None, [*QUICK, "compute.threads=1", "volume.spacing_mm=[1,1,1]"])


@pytest.fixture
def ground(tmp_path) -> Ground:
    return make_ground(tmp_path)


def prepare(frames, output):
    return prepare_references(frames, output, SETTINGS, SerialRunner(), Silent())


def test_of_frames_that_are_gone_only_what_was_written_is_deleted(tmp_path, caplog):
    """Files of the user: one edited, one that the record never made, one behind a link."""
    frames = make_photographs(tmp_path / "frames", count=6)
    output = tmp_path / "out"
    prepare(frames, output)
    names = sorted(path.name for path in frames.iterdir())
    stale, edited, named, linked = names[:4]
    for name in (stale, edited, named, linked):
        (frames / name).unlink()
    (output / edited).write_bytes(b"my own work")
    record = output / "references.json"
    content = json.loads(record.read_text())
    (output / "mine.png").write_bytes(b"my own picture")
    for row in content["frames"]:
        if row["file"] == named:
            row.update(file="mine.png", file_digest=digest_file(output / "mine.png"))
        if row["file"] == linked:
            (output / linked).rename(tmp_path / "elsewhere.png")
            (output / linked).symlink_to(tmp_path / "elsewhere.png")
    record.write_text(json.dumps(content))
    prepare(frames, output)
    assert not (output / stale).exists()
    assert (output / edited).read_bytes() == b"my own work"
    assert (output / "mine.png").read_bytes() == b"my own picture"
    assert (tmp_path / "elsewhere.png").is_file()
    assert {one.file for one in read_manifest(output) if one.file} == set(names[4:])
    told = " ".join(caplog.messages)
    assert all(name in told for name in (edited, "mine.png", linked))
    assert stale not in told


def test_a_record_cannot_have_other_files_deleted(tmp_path):
    """The fault this was mended for: what the record called stale was deleted, wherever it lay."""
    frames, output = make_photographs(tmp_path / "frames", count=2), tmp_path / "out"
    prepare(frames, output)
    record = output / "references.json"
    whole = record.read_text()
    for name in ("notes.txt", "references.json", "contact_sheet.txt", ".hidden"):
        (output / name).write_text("mine") if name != "references.json" else None
        content = json.loads(whole)
        row = {**content["frames"][0], "source": name, "file": name}
        content["frames"].append(row | {"file_digest": digest_file(output / name)})
        record.write_text(json.dumps(content))
        with pytest.raises(InputError, match=f"names {re.escape(name)} for a photograph"):
            prepare(frames, output)
        assert (output / name).is_file()
        record.write_text(whole)


def test_frames_are_written_in_the_place_of_links_and_not_through_them(tmp_path, ground):
    frames = make_photographs(tmp_path / "frames", count=2)
    prepare(frames, ground.inside)
    for name in ("1000.png", "contact_sheet.png", "references.json"):
        content = (ground.inside / name).read_bytes()
        (ground.inside / name).unlink()
        (ground.outside / name).write_bytes(content if name == "references.json" else b"of others")
        (ground.inside / name).symlink_to(ground.outside / name)
    (frames / "1005.png").unlink()
    before = (ground.outside / "1000.png").read_bytes()
    prepare(frames, ground.inside)
    assert (ground.outside / "1000.png").read_bytes() == before
    assert (ground.outside / "contact_sheet.png").read_bytes() == b"of others"
    assert not (ground.inside / "1000.png").is_symlink()
    assert read_image(ground.inside / "1000.png").size


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    """A scan, photographs and a small coloured volume."""
    folder = tmp_path_factory.mktemp("colored")
    make_scan(folder / "scan.nii", slices=4, size=24)
    make_photographs(folder / "photographs", count=2, size=30)
    given = folder / "scan.nii", folder / "photographs", folder / "v.ome.zarr"
    medcolor.colorize_volume(*given, settings=SETTINGS)
    return folder


def copied(colored, folder):
    """Return a copy of the volume and its ledger."""
    for name in ("v.ome.zarr", "v.ome.zarr.run"):
        shutil.copytree(colored / name, folder / name)
    return folder / "v.ome.zarr"


def test_a_forced_run_deletes_the_volume_and_leaves_what_others_put_into_it(colored, tmp_path):
    output = copied(colored, tmp_path)
    run, kept = Ledger.folder_of(output), {}
    for path in (
        output / "notes.txt",
        output / "0" / "c" / "notes.txt",
        output / "labels" / "0" / "c" / "0",
        output / "photo-0001.png",
        run / "notes.txt",
        run / "done" / "mine.json",
        run / "mine" / "plan.json",
        run / "staging" / "mine.nii",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine, {path.name}")
        kept[path] = path.read_text()
    given = colored / "scan.nii", colored / "photographs", output
    assert medcolor.colorize_volume(*given, settings=OTHER, force=True).is_complete
    assert {path: path.read_text() for path in kept} == kept


def test_a_plan_beside_a_folder_of_others_gives_no_right_to_delete_it(colored, tmp_path):
    """Who can put a file beside an output must not choose what --force deletes."""
    output = tmp_path / "v.ome.zarr"
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5"}}}
    (output / "0" / "c" / "0" / "0" / "0").mkdir(parents=True)
    (output / "zarr.json").write_text(json.dumps(group))
    (output / "0" / "c" / "0" / "0" / "0" / "0").write_bytes(b"a scan of somebody's")
    Ledger.folder_of(output).mkdir()
    (Ledger.folder_of(output) / "plan.json").write_text('{"identity": "planted"}')
    given = colored / "scan.nii", colored / "photographs", output
    with untouched_bytes(output), pytest.raises(InputError, match="not written by medcolor"):
        medcolor.colorize_volume(*given, settings=SETTINGS, force=True)
    shutil.rmtree(output)
    output.write_bytes(b"a file of somebody's")
    with untouched_bytes(output), pytest.raises(InputError, match="not written by medcolor"):
        medcolor.colorize_volume(*given, settings=SETTINGS, force=True)


class untouched_bytes:  # noqa: N801
    """Hold a block to it that a file, or all files below a folder, keep their bytes."""

    def __init__(self, place):
        self.files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
        self.before = [path.read_bytes() for path in self.files]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert [path.read_bytes() for path in self.files] == self.before


@pytest.mark.parametrize("linked", ["0", "0/c/0/0", "../v.ome.zarr.run/done"])
def test_a_volume_is_not_written_through_links(colored, tmp_path, linked):
    output = copied(colored, tmp_path / "in")
    elsewhere = tmp_path / "elsewhere"
    shutil.move(output / linked, elsewhere)
    (output / linked).symlink_to(elsewhere)
    given = colored / "scan.nii", colored / "photographs", output
    for settings, force in ((SETTINGS, False), (OTHER, True)):
        with (
            untouched(elsewhere),
            pytest.raises(InputError, match="a link leads out of the folder"),
        ):
            medcolor.colorize_volume(*given, settings=settings, force=force)


def test_an_output_that_is_itself_a_link_is_where_its_user_put_it(colored, tmp_path):
    real = tmp_path / "large disk" / "v.ome.zarr"
    real.parent.mkdir()
    shutil.copytree(colored / "v.ome.zarr", real)
    shutil.copytree(colored / "v.ome.zarr.run", tmp_path / "v.ome.zarr.run")
    (tmp_path / "v.ome.zarr").symlink_to(real)
    given = colored / "scan.nii", colored / "photographs", tmp_path / "v.ome.zarr"
    report = medcolor.colorize_volume(*given, settings=OTHER, force=True)
    assert report.is_complete
    assert (tmp_path / "v.ome.zarr").is_symlink()
    assert (real / "zarr.json").is_file()


def test_a_volume_of_a_cohort_is_not_written_through_a_link(colored, tmp_path, ground):
    (ground.inside / "a.ome.zarr").symlink_to(ground.outside)
    manifest = tmp_path / "cohort.yaml"
    manifest.write_text(json.dumps({"volumes": [{"name": "a", "target": "in/scan.nii"}]}))
    shutil.copytree(colored, tmp_path / "in")
    given = manifest, colored / "photographs", ground.inside
    with untouched(ground.outside):
        report = medcolor.colorize_cohort(*given, settings=SETTINGS)
    assert report.rows["a"].state == "failed"
    assert "a link leads out" in report.rows["a"].problem


def test_of_an_index_that_is_made_anew_files_of_others_stay(colored, tmp_path):
    folder = tmp_path / "index"
    given = colored / "photographs", folder, SETTINGS, SerialRunner(), Silent()
    run_index.build_index(*given)
    (folder / "notes.txt").write_text("mine")
    delete_made(folder, run_index.MADE)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    with pytest.raises(InputError, match="not empty"):
        run_index.build_index(*given)


def test_an_index_is_not_built_behind_a_link(colored, ground):
    (ground.inside / ".index.building").symlink_to(ground.outside)
    given = colored / "photographs", ground.inside / "index", SETTINGS, SerialRunner(), Silent()
    with untouched(ground.outside), pytest.raises(InputError, match="a link leads out"):
        run_index.build_index(*given)


PICTURES = ["render.size_px=32", "render.sections=1", "render.grey=false", "compute.threads=1"]


def drawn(colored, output, frames):
    settings = load_settings(None, [*PICTURES, f"render.frames={frames}"])
    return medcolor.render_volume(colored / "v.ome.zarr", output, settings=settings)


def test_of_pictures_only_frames_that_were_drawn_here_are_stale(colored, tmp_path, caplog):
    drawn(colored, tmp_path, 3)
    mine = encode_png(read_image(tmp_path / "frames" / "0002.png"))
    (tmp_path / "frames" / "0007.png").write_bytes(mine)
    (tmp_path / "frames" / "notes.png").write_bytes(mine)
    drawn(colored, tmp_path, 1)
    left = {path.name for path in (tmp_path / "frames").iterdir()}
    assert left == {"0000.png", "0007.png", "notes.png"}
    assert (tmp_path / "frames" / "0007.png").read_bytes() == mine
    assert "0007.png: left there" in " ".join(caplog.messages)


def test_a_mark_changes_no_pixel_and_is_a_chunk_that_others_read():
    import io

    import numpy as np
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    plain = encode_png(rgb)
    with Image.open(io.BytesIO(marked(plain))) as image:
        image.load()
        np.testing.assert_array_equal(np.asarray(image), rgb)
        assert image.text == {"Software": "medcolor"}
    assert is_marked(marked(plain))
    assert not is_marked(plain)
    assert not is_marked(b"")


@pytest.mark.parametrize("name", ["frames", "sections"])
def test_pictures_are_not_drawn_through_links(colored, ground, name):
    (ground.inside / "render.json").write_text('{"identity": ""}')
    (ground.inside / name).symlink_to(ground.outside)
    with untouched(ground.outside), pytest.raises(InputError, match="a link leads out"):
        drawn(colored, ground.inside, 1)


@pytest.mark.parametrize(
    "name", ["checksums.json", "figure.png", "turntable.mp4", "sections/a.png", "render.json"]
)
def test_a_folder_with_files_of_these_names_is_no_picture_set(colored, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"[years of work]")
    with pytest.raises(InputError, match="was not drawn by medcolor"):
        drawn(colored, tmp_path, 1)
    assert (tmp_path / name).read_bytes() == b"[years of work]"
    assert picture_set.RECORD == "render.json"


def test_a_forced_export_replaces_an_export_alone(colored, tmp_path):
    target = tmp_path / "slices"

    def write():
        return export(colored / "v.ome.zarr", target, Silent(), force=True)

    write()
    write()
    (target / "geometry.json").write_text("{}")
    with pytest.raises(InputError, match="no earlier export"):
        write()
    shutil.rmtree(target)
    write()
    (target / "00000.png").unlink()
    (target / "00000.png").mkdir()
    (target / "00000.png" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="no earlier export"):
        write()
    assert (target / "00000.png" / "thesis.tex").read_text() == "mine"


def test_deleting_goes_through_no_link(tmp_path, ground):
    inside = ground.inside
    (inside / "deep" / "a").mkdir(parents=True)
    for name in ("1.npz", "deep/2.npz", "deep/a/mine.txt"):
        (inside / name).write_text(name)
    (inside / "3.npz").symlink_to(ground.canary)
    (inside / "link").symlink_to(ground.outside)
    (ground.outside / "4.npz").write_text("of others")
    made = re.compile(r"(\w+/)*\d\.npz")
    with untouched(ground.outside):
        delete_made(inside, made)
    assert {str(p.relative_to(inside)) for p in inside.rglob("*")} == {
        "deep",
        "deep/a",
        "deep/a/mine.txt",
        "link",
    }
    with untouched(ground.outside):
        delete_tree(inside / "link")
    assert not (inside / "link").is_symlink()
    delete_made(tmp_path / "absent", made)
    (tmp_path / "alias").symlink_to(inside)
    (inside / "deep" / "a" / "mine.txt").unlink()
    delete_made(tmp_path / "alias", made)
    assert [*inside.iterdir()] == []
