"""The whole job from bucket to bucket: killed, resumed, the bytes of a local run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import obstore
import pytest
from bucket import SECRET
from command import medcolor as medcolor_command
from conftest import ORIENTATION, make_photographs, make_scan
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.run import workers
from medcolor.run.index_copies import local_index, updating
from medcolor.storage import copy_tree, local_copy, place_of
from medcolor.volume.shards import LostShardError
from medcolor.volume.store import read_slices

pytestmark = pytest.mark.xdist_group("bucket")

QUICK = [
    *("features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"),
    *("compute.threads=1", f"reference.orientation={ORIENTATION}"),
]


@pytest.fixture
def inputs(bucket, tmp_path):
    local = tmp_path / "local"
    scan = make_scan(local / "doe^jane.nii.gz", slices=12)
    photographs = make_photographs(local / "photographs")
    copy_tree(local, place_of(f"{bucket}/in"))
    return scan, photographs


def colorize_in(bucket, references, name="out/scan.ome.zarr", **options):
    command = [sys.executable, "-m", "medcolor", "colorize", f"{bucket}/in/doe^jane.nii.gz"]
    sets = [part for one in QUICK for part in ("--set", one)]
    return subprocess.Popen(
        [*command, references, f"{bucket}/{name}", *sets],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_killed_and_resumed_from_bucket_to_bucket(bucket, inputs, tmp_path):
    run = colorize_in(bucket, f"{bucket}/in/photographs")
    for line in run.stderr:
        if json.loads(line)["stage"] == "match" and json.loads(line)["done"] > 0:
            break
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    folder = place_of(f"{bucket}/out/scan.ome.zarr.run")
    assert (folder / "plan.json").is_file()
    assert not (folder / "run.json").is_file()

    run = colorize_in(bucket, f"{bucket}/in/photographs")
    told, problems = run.communicate(timeout=200)
    assert run.returncode == 0, problems

    here = tmp_path / "here.ome.zarr"
    medcolor.colorize_volume(*inputs, here, settings=load_settings(None, QUICK))
    there = local_copy(place_of(f"{bucket}/out/scan.ome.zarr"), tmp_path / "there")
    stored = {k: v for k, v in tree_bytes(there).items() if not k.endswith(".version")}
    assert stored == tree_bytes(here)

    record = (folder / "run.json").read_text()
    for secret in (SECRET, os.environ["AWS_ACCESS_KEY_ID"]):
        assert secret not in record + told + problems
    assert "doe^jane" not in record
    assert not [key for key, _ in folder.walk() if key.startswith("votes/")]
    assert not (tmp_path / "cache" / "staging").exists() or not [
        *(tmp_path / "cache" / "staging").iterdir()
    ]


def test_an_index_in_a_bucket_is_built_used_and_grown(bucket, inputs, tmp_path):
    sets = [
        *("--set", "features.working_size_px=64"),
        *("--set", f"reference.orientation={ORIENTATION}"),
    ]
    place = f"{bucket}/index"

    def index(*words):
        done = medcolor_command("index", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    photographs = f"{bucket}/in/photographs"
    assert "6 references" in index("build", photographs, place, *sets)
    assert "1 removed, 5 references" in index("remove", place, "1005.png")
    assert "1 added, 6 references" in index("append", photographs, place, *sets)
    assert "references" in index("show", place)
    report = medcolor.colorize_volume(
        inputs[0], place, tmp_path / "scan.ome.zarr", settings=load_settings(None, QUICK)
    )
    assert report.is_complete


def test_the_copy_of_an_index_that_is_being_written_is_left_alone(bucket):
    """A second driver took parts that were not in the bucket yet for stale, and deleted them."""
    place, written = place_of(f"{bucket}/kept"), threading.Event()

    def write():
        with updating(place) as folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "part-00000.parquet").write_bytes(b"descriptors")
            written.set()
            time.sleep(1.0)  # as long as the other needs to look

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(100)
    copy = local_index(place)
    writer.join()
    assert (copy / "part-00000.parquet").read_bytes() == b"descriptors"
    assert (place / "part-00000.parquet").read_bytes() == b"descriptors"


def test_a_change_of_an_index_that_was_cut_off_is_no_change(bucket):
    place = place_of(f"{bucket}/kept")
    with updating(place) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part-00000.parquet").write_bytes(b"whole")
    local_index(place)

    def cut_off():
        with updating(place) as folder:
            (folder / "part-00000.parquet").write_bytes(b"changed")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert (local_index(place) / "part-00000.parquet").read_bytes() == b"whole"
    assert (place / "part-00000.parquet").read_bytes() == b"whole"


def test_pictures_are_drawn_into_a_bucket(bucket, inputs):
    output = f"{bucket}/out/scan.ome.zarr"
    settings = load_settings(None, [*QUICK, "render.frames=2", "render.size_px=32"])
    medcolor.colorize_volume(*inputs, output, settings=settings)
    page = medcolor.render_volume(output, f"{bucket}/pictures", settings=settings)
    assert str(page) == f"{bucket}/pictures/index.html"
    keys = {key for key, _ in place_of(f"{bucket}/pictures").walk()}
    assert {"index.html", "render.json", "turntable.mp4", "frames/0001.png"} <= keys
    for name, kind in {"index.html": "text/html", "turntable.webp": "image/webp"}.items():
        place = place_of(f"{bucket}/pictures/{name}")
        told = obstore.get(place.store, place.key).attributes  # browsers show by it, or download
        assert told["Content-Type"] == kind


@pytest.mark.usefixtures("inputs")
def test_what_is_not_there_is_one_line_and_leaves_nothing(bucket):
    for references, scan in (("absent", "doe^jane.nii.gz"), ("photographs", "absent.nii")):
        with pytest.raises(medcolor.InputError) as caught:
            medcolor.colorize_volume(
                f"{bucket}/in/{scan}", f"{bucket}/in/{references}", f"{bucket}/new/a.ome.zarr"
            )
        assert "\n" not in str(caught.value)
        assert not place_of(f"{bucket}/new").exists()


def test_a_volume_in_a_bucket_that_lost_shards_is_noticed_named_and_made_good_without_matching(
    bucket, inputs, tmp_path, monkeypatch
):
    output = f"{bucket}/out/v.ome.zarr"
    settings = load_settings(None, [*QUICK, "store.smallest_side=24"])
    medcolor.colorize_volume(*inputs, output, settings=settings)
    volume = place_of(output)
    before = {key: (volume / key).read_bytes() for key, _ in volume.walk()}
    kept = {key for key, _ in place_of(f"{output}.run").walk()}
    assert "model.npz" in kept
    assert not [key for key in kept if key.startswith("votes/")]

    def match(*_):
        raise AssertionError("matched")

    monkeypatch.setattr(workers.MatchSlab, "__call__", match)

    def colorize():
        report = medcolor.colorize_volume(*inputs, output, settings=settings)
        assert {key: (volume / key).read_bytes() for key, _ in volume.walk()} == before
        return report.slabs_done

    first, second, coarse = (volume / f"{key}/0/0" for key in ("0/c/0/0", "0/c/0/1", "1/c/0/2"))
    first.unlink()
    second.write_bytes(b"")
    coarse.write_bytes(before["1/c/0/2/0/0"][:300])
    for read, name in ((medcolor.export_volume, "v.nii"), (medcolor.render_volume, "pictures")):
        with pytest.raises(medcolor.InputError, match="0/c/0/0/0/0 is gone, and 2 more"):
            read(output, tmp_path / name)
    for where in (range(4, 8), range(5, 6)):
        with pytest.raises(LostShardError, match="0/c/0/1/0/0"):
            read_slices(volume, 0, where)
    assert colorize() == 3

    content = bytearray(before["0/c/0/2/0/0"])
    content[700] ^= 2
    (volume / "0/c/0/2/0/0").write_bytes(bytes(content))
    (found,) = medcolor.verify_volume(output)
    assert [shard.key for shard, _ in found.damaged] == ["0/c/0/2/0/0"]
    assert colorize() == 1
    assert medcolor.verify_volume(output)[0].is_whole
