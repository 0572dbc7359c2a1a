"""Every place where a name can stand in a file is attacked with names that lead elsewhere.

Each must be refused in one line, or do no harm; either way nobody opens, changes, creates or
deletes anything in the folders beside.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
import tifffile
import zarr
from conftest import make_photographs
from dicom_files import dicom_file, write_dicom
from hostile import CANARY, PLAIN, Ground, make_ground, names, refused, untouched
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from web import Site, serving_site

from medcolor import weights
from medcolor.config import load_settings
from medcolor.data.manifest import read_index as read_site
from medcolor.data.manifest import read_links
from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.download import Patience, download
from medcolor.progress import Silent
from medcolor.reference.library import ReferenceRecord, list_references, load_reference
from medcolor.reference.settings import ReferenceSettings
from medcolor.render.frames import plan_set
from medcolor.render.picture_set import is_drawn
from medcolor.render.scene import SceneSettings
from medcolor.render.settings import RenderSettings
from medcolor.retrieval.index import read_index
from medcolor.retrieval.parts import DescribedReference, Origin, part_path, write_part
from medcolor.retrieval.record import Bearing, read_assignment
from medcolor.run import pictures
from medcolor.run.cohort_manifest import read_cohort
from medcolor.run.index import refuse_changed_photographs
from medcolor.run.ledger import Ledger
from medcolor.run.prepare import prepare_references
from medcolor.run.serial import SerialRunner
from medcolor.run.status import read_status
from medcolor.volume.files import digest_file
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.open import open_volume
from medcolor.volume.settings import StoreSettings, VolumeSettings
from medcolor.volume.store import create_store, read_levels

SETTINGS = load_settings(None, ["compute.threads=1"])
IN_MM = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))
LEAST_NAMES = 30
Action = Callable[[], object]


@dataclass(frozen=True)
class Place:
    """A place where a name can stand."""

    plant: Callable[[Ground, object], Action]
    """Writes the name there; returns what then meets it. Raises ValueError, TypeError or OSError
    where no such name can stand."""

    refuses: bool = True
    """Whether every name is refused; else it may be of no effect."""

    good: Callable[[Ground], object] = lambda _ground: PLAIN
    """A name that must be taken there."""

    takes_keys: bool = False
    """Whether parts with slashes between them are good there, and, being read alone, links."""


@pytest.fixture(scope="module", autouse=True)
def frames(tmp_path_factory):
    """Two photographs, and what `reference prepare` makes of them."""
    folder = tmp_path_factory.mktemp("frames")
    make_photographs(folder / "frames", count=2, size=40)
    prepare_references(folder / "frames", folder / "out", SETTINGS, SerialRunner(), Silent())
    _FRAMES.append(folder)
    yield folder
    _FRAMES.clear()


_FRAMES: list[Path] = []


def in_references(ground: Ground, **row: object) -> None:
    """Add a row to the record of a prepared folder: what stands there is just what it says."""
    if row.get("file", "") is None:
        raise TypeError("that is a frame of which nothing was written")
    shutil.copytree(_FRAMES[0] / "out", ground.inside, dirs_exist_ok=True)
    record = ground.inside / "references.json"
    content = json.loads(record.read_text())
    digest = digest_file(ground.canary)
    made = {**content["frames"][0], "source": "gone.png", "file_digest": digest, **row}
    content["frames"].append(made)
    record.write_text(json.dumps(content))


def prepared_file(ground: Ground, name: object) -> Action:
    in_references(ground, file=name)
    given = _FRAMES[0] / "frames", ground.inside, SETTINGS, SerialRunner(), Silent()
    return lambda: prepare_references(*given)


def prepared_source(ground: Ground, name: object) -> Action:
    in_references(ground, file="gone.png", source=name)
    given = _FRAMES[0] / "frames", ground.inside, SETTINGS, SerialRunner(), Silent()
    return lambda: prepare_references(*given)


def listed_file(ground: Ground, name: object) -> Action:
    in_references(ground, file=name)

    def load() -> None:
        for record in list_references(ground.inside, ReferenceSettings()):
            load_reference(record, ReferenceSettings())

    return load


def photograph(ground: Ground) -> Path:
    shutil.copy(_FRAMES[0] / "frames" / PLAIN, ground.inside / PLAIN)
    return ground.inside / PLAIN


def in_index(ground: Ground, **columns: object) -> Action:
    """Write an index whose row has the canary's digest; then use its photograph."""
    seen, digest = np.ones(4, np.float32), digest_file(ground.canary)
    record = ReferenceRecord(PLAIN, photograph(ground), None)
    part = part_path(ground.inside, 0)
    write_part(part, [DescribedReference(record, digest, seen, b"", {})], Origin("n", "p"))
    table = pq.read_table(part)
    for name, value in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array([value], pa.string()))
    pq.write_table(table, part)

    def use() -> None:
        index = read_index(ground.inside)
        refuse_changed_photographs(index, {one.reference_id for one in index.records})
        load_reference(index.records[0], ReferenceSettings())

    return use


def indexed_uri(ground: Ground, name: object) -> Action:
    use = in_index(ground, uri=name)
    if name == str(ground.inside / PLAIN):  # the good one has the content of its row
        return in_index(ground, uri=name, digest=digest_file(ground.inside / PLAIN))
    return use


def indexed_id(ground: Ground, name: object) -> Action:
    use = in_index(ground, id=name, uri=str(ground.canary))
    if name == PLAIN:
        return in_index(ground, id=name, digest=digest_file(ground.inside / PLAIN))
    return use


def indexed_empty(ground: Ground, name: object) -> Action:
    in_index(ground)
    part = part_path(ground.inside, 0)
    table = pq.read_table(part)
    head = json.loads(table.schema.metadata[b"medcolor"])
    frame = {"reference_id": name, "digest": "", "position_mm": None, "orientation": None}
    head["empty"] = [frame]
    pq.write_table(table.replace_schema_metadata({"medcolor": json.dumps(head)}), part)
    return lambda: read_index(ground.inside)


def assigned_path(ground: Ground, name: object) -> Action:
    source = {"reference_id": PLAIN, "path": name, "weight": 1.0, "orientation": None}
    bearing = Bearing("LP", "LPS", "record", sides_are_certain=True, likeness=0.4, lead=0.2,
                      shows_this_part=True, order="names", is_reversed=False,
                      distance_mm=None)  # fmt: skip
    about = json.dumps({"identity": "x", "bearing": vars(bearing)})
    table = pa.table({"sources": [[source]]}).replace_schema_metadata({"medcolor": about})
    pq.write_table(table, ground.inside / "assignment.parquet")
    content = (ground.inside / "assignment.parquet").read_bytes()
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    marker = json.dumps({"identity": "x", "digest": digest})
    (ground.inside / "assignment.json").write_text(marker)
    record = ReferenceRecord(PLAIN, photograph(ground), None)

    def resume() -> None:
        found = read_assignment(ground.inside / "assignment.parquet", "x", (record,))
        assert found is not None
        load_reference(found.references[0][0].record, ReferenceSettings())

    return resume


def cohort_yaml(ground: Ground, name: object) -> Action:
    if isinstance(name, int) and not isinstance(name, bool):
        raise TypeError("numbers are good names")
    manifest = ground.inside / "cohort.yaml"
    manifest.write_text(json.dumps({"volumes": [{"name": name, "target": "a.nii"}]}))
    return lambda: read_cohort(str(manifest))


def cohort_parquet(ground: Ground, name: object) -> Action:
    manifest = ground.inside / "cohort.parquet"
    pq.write_table(pa.table({"name": pa.array([name], pa.string()), "target": ["a"]}), manifest)
    return lambda: read_cohort(str(manifest))


def nrrd_data_file(ground: Ground, name: object) -> Action:
    head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n"
    path = ground.inside / "scan.nhdr"
    path.write_bytes(f"{head}data file: {name}\n".encode())
    (ground.inside / PLAIN).write_bytes(bytes(8))
    return lambda: open_volume(path, IN_MM, ground.inside / "staging")


def image_metadata(path: object) -> dict[str, object]:
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [1, 1, 1]}]
    dataset = {"path": path, "coordinateTransformations": steps}
    return {"multiscales": [{"axes": axes, "datasets": [dataset]}]}


def scan_level(version: int) -> Callable[[Ground, object], Action]:
    def plant(ground: Ground, name: object) -> Action:
        for folder, key in ((ground.inside, PLAIN), (ground.outside, "0")):
            group = zarr.open_group(str(folder), mode="w" if key == "0" else "a",
                                    zarr_format=version)  # fmt: skip
            group.create_array(key, data=np.zeros((2, 3, 4), np.int16))
        # The canary is a level by itself, so that a name of it would be one.
        image = image_metadata(name)
        about = image if version == 2 else {"ome": image}
        zarr.open_group(str(ground.inside), mode="a").attrs.update(about)
        return lambda: open_volume(ground.inside, IN_MM, ground.inside / "staging")

    return plant


def made_level(ground: Ground, name: object) -> Action:
    shutil.rmtree(ground.inside)
    make_volume(ground.inside)
    metadata = ground.inside / "zarr.json"
    content = json.loads(metadata.read_text())
    content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = name
    metadata.write_text(json.dumps(content))
    return lambda: read_levels(ground.inside)


def make_volume(path: Path) -> None:
    spacing = (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((4, 8, 8), spacing, as_affine(affine_from_code("LPS", spacing)))
    grey = GreyLevels(0.0, 1.0, "raw", is_alpha=True)
    create_store(path, geometry, StoreSettings(), {"target": "t"}, grey)


def png() -> bytes:
    return cv2.imencode(".png", np.full((9, 9), 7, np.uint8))[1].tobytes()


def archive_of(path: Path, *members: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(zipfile.ZipInfo(_text(member)), png())
    return path


def zip_member(ground: Ground, name: object) -> Action:
    path = archive_of(ground.inside / "scan.zip", "1.png", name)
    return lambda: open_volume(path, IN_MM, ground.inside / "staging")


def weights_member(ground: Ground, name: object) -> Action:
    path = archive_of(ground.inside / "net.download.zip", name)
    return lambda: weights._extract(path, CANARY if name != PLAIN else PLAIN)


def checksum_key(ground: Ground, name: object) -> Action:
    volume = ground.inside / "v.ome.zarr"
    make_volume(volume)
    (ground.inside / PLAIN).write_bytes(png())
    plan = plan_set(volume, ground.inside, SceneSettings(), RenderSettings(), 1)
    (ground.inside / "render.json").write_text(json.dumps({"identity": plan.identity}))
    (ground.inside / "checksums.json").write_text(json.dumps({_text(name): "0" * 64}))
    return lambda: is_drawn(plan)


def dicomdir(ground: Ground, name: object) -> Action:
    for z in range(3):
        write_dicom(ground.inside / f"{z}.dcm", z, np.full((4, 5), z))
    listing = dicom_file(ground.inside / "DICOMDIR", "1.2.840.10008.1.3.10")
    row = Dataset()
    with pydicom.config.disable_value_validation():
        row.ReferencedFileID = _text(name)
        row.DirectoryRecordType = "IMAGE"
        listing.DirectoryRecordSequence = Sequence([row])
        listing.save_as(ground.inside / "DICOMDIR", enforce_file_format=True)

    def read() -> None:
        assert open_volume(ground.inside, IN_MM, ground.inside / "s").geometry.shape[0] == 3

    return read


def ome_tiff(ground: Ground, name: object) -> Action:
    pixels = np.zeros((3, 5, 6), np.uint8)
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="{z}"><UUID FileName={quoteattr(_text(name))}>urn:uuid:0'
        "</UUID></TiffData>"
        for z in range(3)
    )
    about = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="6" '
        f'SizeY="5" SizeZ="3" SizeC="1" SizeT="1">{planes}</Pixels></Image></OME>'
    ).encode("ascii", "xmlcharrefreplace")
    path = ground.inside / "scan.ome.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", description=about, metadata=None)
    return lambda: open_volume(path, IN_MM, ground.inside / "staging")


def ledger_names(ground: Ground, name: object) -> Action:
    volume, text = ground.inside / "a.ome.zarr", _text(name)
    done = Ledger.folder_of(volume) / "done"
    done.mkdir(parents=True)
    plan = {"identity": text, "slabs": {text: 1, "level0": 1}}
    (done.parent / "plan.json").write_text(json.dumps(plan))
    task = {"stage": text, "start": 0, "stop": 1}
    line = json.dumps({"task": task, "problem": text})
    (done.parent / "failures.jsonl").write_text(line + "\n")
    with suppress(ValueError, OSError):
        (done / f"level0-slab{text}.json").write_text("{}")

    def look() -> None:
        lines = "\n".join(map(str, read_status(volume))).splitlines()
        assert all(line.isprintable() for line in lines)
        ledger = Ledger.of(volume, text)
        assert ledger.done("level0") == set()
        ledger.forget("level0")

    return look


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError("text alone can stand there")
    return name


PLACES = {
    "references.json, file, reference prepare": Place(prepared_file),
    "references.json, source, reference prepare": Place(prepared_source, refuses=False),
    "references.json, file, colorize": Place(listed_file),
    "index, uri": Place(indexed_uri, good=lambda ground: str(ground.inside / PLAIN)),
    "index, id": Place(indexed_id),
    "index, id of an empty photograph": Place(indexed_empty),
    "assignment.parquet, path": Place(assigned_path, refuses=False),
    "cohort manifest, YAML": Place(cohort_yaml),
    "cohort manifest, parquet": Place(cohort_parquet),
    "NRRD, data file": Place(nrrd_data_file),
    "OME-Zarr 0.4 scan, path of a level": Place(scan_level(2), takes_keys=True),
    "OME-Zarr 0.5 scan, path of a level": Place(scan_level(3), takes_keys=True),
    "coloured volume, path of a level": Place(
        made_level, good=lambda _ground: "0", takes_keys=True
    ),
    "zip, member": Place(zip_member, refuses=False),
    "weights archive, member": Place(weights_member, refuses=False),
    "checksums.json, key": Place(checksum_key, takes_keys=True),
    "DICOMDIR, file": Place(dicomdir, refuses=False),
    "OME-TIFF, companion": Place(ome_tiff, refuses=False),
    "ledger: plan, markers, failures": Place(ledger_names, refuses=False),
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory of this test's own: relative names must not count from it either."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def attack(place: Place, ground: Ground, elsewhere: Path, name: object) -> bool | None:
    """Attack; tell whether it was refused, or None where no such name can stand."""
    if not place.takes_keys:
        (ground.inside / "link").symlink_to(ground.outside)
    elif name in (f"link/{CANARY}", f"~/{CANARY}"):  # below this folder, as any other
        return None
    try:
        action = place.plant(ground, name)
    except (ValueError, TypeError, OSError, pa.ArrowException):
        return None
    around = sorted(ground.inside.parent.iterdir())
    with untouched(ground.outside, elsewhere):
        was_refused = refused(action)
    assert sorted(ground.inside.parent.iterdir()) == around
    return was_refused


@pytest.mark.parametrize("where", PLACES)
def test_no_name_leads_to_a_file_elsewhere(where, tmp_path, elsewhere):
    place, tried = PLACES[where], 0
    for number in range(len(names(tmp_path))):
        ground = make_ground(tmp_path / str(number))
        name = names(ground.outside)[number]
        try:
            was_refused = attack(place, ground, elsewhere, name)
        except BaseException as error:
            error.add_note(f"the name: {ascii(name)[:200]}")
            raise
        tried += was_refused is not None
        assert was_refused in (None, True) or not place.refuses, ascii(name)
    assert tried >= LEAST_NAMES


@pytest.mark.parametrize("where", PLACES)
def test_a_plain_name_is_taken(where, tmp_path, elsewhere):
    ground = make_ground(tmp_path / "good")
    place = PLACES[where]
    assert attack(place, ground, elsewhere, place.good(ground)) is False


def test_a_followed_name_would_be_seen(tmp_path):
    """The oracle itself: every way to touch the canary is told."""
    ground = make_ground(tmp_path)
    ways = [
        ground.canary.read_bytes,
        lambda: pa.OSFile(str(ground.canary)).read(),  # C++
        lambda: cv2.imread(str(ground.canary)),
        lambda: (ground.inside / ".." / "outside" / CANARY).open("ab").close(),
        (ground.outside / "new").touch,
        lambda: os.utime(ground.canary),
        (ground.outside / "below").mkdir,
        lambda: ground.canary.rename(ground.inside / "moved"),
        (ground.outside / "new").unlink,
    ]
    for way in ways:
        with pytest.raises(AssertionError), untouched(ground.outside):
            way()
    with untouched(ground.outside):
        ground.canary.exists()


def test_a_site_that_lists_names_of_elsewhere_gets_none_of_them(tmp_path):
    hostile = [name for name in names(tmp_path / "outside") if isinstance(name, str)]
    hostile = [name for name in hostile if name.isascii()]
    rows = [f"-rw-r--r-- 1 nlm nlm 5 Jan 10 2019 {name}" for name in (*hostile, PLAIN)]
    folders = [f"{name}:\n{rows[-1]}" for name in hostile if name.strip(" ./")]
    listing = "\n".join(["./:", *rows, *folders]).encode()
    links = "".join(f"<a href={quoteattr(name)}>" for name in (*hostile, PLAIN)).encode()
    with serving_site(Site({"INDEX": listing, "": links})) as url:
        found = read_site(url, Patience())
        linked = read_links(url, Patience())
    below = [f"{folder}{name}" for folder, files in found.items() for name in files]
    assert PLAIN in below
    assert PLAIN in linked
    for key in (*below, *linked):
        path = Path(os.path.normpath(tmp_path / "inside" / key))
        assert path.is_relative_to(tmp_path / "inside"), key
        assert path != tmp_path / "inside", key
        assert key.isprintable(), ascii(key)


def test_a_server_has_no_say_in_what_a_download_is_called(tmp_path, elsewhere):
    ground = make_ground(tmp_path / "ground")
    hostile = [name for name in names(ground.outside) if isinstance(name, str)]
    hostile = [name for name in hostile if name.isprintable() and name.isascii()]
    assert len(hostile) >= LEAST_NAMES - 5
    site = Site({"file.bin": b"content"})
    site.moved = {f"begin{n}": f"/file.bin?{quote(one)}" for n, one in enumerate(hostile)}
    with serving_site(site) as url:
        for number, name in enumerate(hostile):
            site.headers = {"Content-Disposition": f'attachment; filename="{name}"'}
            target = ground.inside / f"{number}.bin"
            with untouched(ground.outside, elsewhere):
                address = f"{url}begin{number}"
                download(address, target, sha256="", remedy="", progress=Silent())
            assert [*ground.inside.iterdir()] == [target]
            assert target.read_bytes() == b"content"
            target.unlink()


def test_no_volume_of_a_cohort_is_drawn_into_another_folder(tmp_path, elsewhere, monkeypatch):
    """`...ome.zarr` would be drawn into the folder above: what is before the ending is `..`."""

    def draw(_volume, output, *_rest):
        output.mkdir(parents=True, exist_ok=True)
        (output / "thumbnail.webp").write_bytes(b"RIFF0000WEBP")
        return output

    monkeypatch.setattr(pictures, "_write_set", draw)
    drawn = 0
    for number in range(len(names(tmp_path))):
        ground = make_ground(tmp_path / str(number))
        name = names(ground.outside)[number]
        cohort = ground.inside / "cohort"
        cohort.mkdir()
        try:
            (cohort / f"{_text(name)}.ome.zarr").mkdir()
        except (TypeError, ValueError, OSError):
            continue
        given = cohort, ground.inside / "pictures", SETTINGS, SerialRunner(), Silent()
        with untouched(ground.outside, elsewhere):
            was_refused = refused(lambda given=given: pictures.write_pictures(*given))
        if not [*cohort.iterdir()]:
            continue
        found = {one.relative_to(ground.inside) for one in ground.inside.rglob("thumbnail.webp")}
        assert all(len(one.parts) == 3 and one.parts[0] == "pictures" for one in found), found
        drawn += 1
        if name in ("", ".", ".."):
            assert was_refused
    assert drawn >= LEAST_NAMES // 2


def test_an_index_gives_no_colours_of_a_file_its_writer_did_not_have(tmp_path):
    """The one way an index leads elsewhere: a photograph's whole path, whose content it knows."""
    ground = make_ground(tmp_path)
    use = in_index(ground, id=CANARY, uri=str(ground.canary), digest="0" * 32)
    assert refused(use)
    for ending in ("/etc/passwd", "notes.txt", "key.pem"):
        assert refused(in_index(ground, id=Path(ending).name, uri=ending))
    plain = replace(ReferenceRecord(CANARY, ground.canary, None))
    in_index(ground, id=CANARY, uri=str(ground.canary))()
    assert load_reference(plain, ReferenceSettings()).rgb.size
