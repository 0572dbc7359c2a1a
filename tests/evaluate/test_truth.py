"""A CT against photographs of its own body: drawn, so that places are known exactly."""

from __future__ import annotations

import importlib.util
import zipfile

import cv2
import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from command import medcolor
from scipy.interpolate import RegularGridInterpolator
from skimage.color import deltaE_ciede2000, rgb2lab
from volumes import write_volume

from medcolor.color import srgb_to_lab
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.evaluate.registered import Split, divide, read_places
from medcolor.evaluate.truth import evaluate_truth
from medcolor.evaluate.truth_levels import Likeness, blurred, sample, tissues_of
from medcolor.progress import Silent
from medcolor.reference.library import list_references
from medcolor.reference.manifest import PreparedFrame, read_manifest, write_manifest
from medcolor.reference.settings import ReferenceSettings
from medcolor.volume.store import read_about

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("truth")

MM = 6
DEPTH, SIDE = 36, 48
QUICK_WORDS = ["features.working_size_px=64"]
QUICK = load_settings(None, QUICK_WORDS)
COLUMNS = ["dE", "chroma", "palette", "muscle", "fat", "bone", "brain", "contrast", "kept"]
HU = np.array([-1000, 50, -100, 900, 35])
RGB = np.array([[255, 255, 255], [84, 36, 30], [200, 168, 120], [214, 196, 150], [196, 160, 120]])
"""Of air, muscle, fat, bone, brain."""


def draw_labels(z):
    """Return a slice in four parts, whose borders move along the body."""
    row, col = np.mgrid[0:SIDE, 0:SIDE]
    inside = ((row - 24) / 21) ** 2 + ((col - 24) / (17 + z / 9)) ** 2 < 1
    return inside * (1 + (row > 19 + z / 5) + 2 * (col > 27 - z / 6))


class Body:
    """CT and photographs of a body of four parts, and where pixels lie."""

    def __init__(self, folder):
        random = np.random.default_rng(0)
        labels = np.stack([draw_labels(z) for z in range(DEPTH)])
        noise = random.normal(0, 6, labels.shape)
        hu = np.where(labels > 0, HU[labels] + noise, -1000).round().astype(np.int16)
        uneven = random.normal(0, 5, (*labels.shape, 1)) * (labels > 0)[..., None]
        self.truth = np.clip(RGB[labels] + uneven, 0, 255).astype(np.uint8)
        self.scan, self.photographs = folder / "ct.nii.gz", folder / "photographs"
        nib.save(nib.Nifti1Image(hu.transpose(2, 1, 0), np.diag([-MM, -MM, MM, 1.0])), self.scan)
        self.photographs.mkdir()
        for z, rgb in enumerate(self.truth):
            cv2.imwrite(str(self.photographs / f"{self.number(z)}.png"), rgb[::-1, :, ::-1])
        self.arrays = {}
        for z in range(2, 35, 4):
            row, col = np.mgrid[2:46, 3:47]
            number = self.number(z)
            self.arrays[f"{number}_place"] = (32 * np.stack([0 * row + z, row, col])).astype("i2")
            self.arrays[f"{number}_box"] = np.array([2, 46, 3, 47], np.int16)
            self.arrays[f"{number}_body"] = np.packbits(labels[z, 2:46, 3:47] > 0)
        self.places = folder / "places.npz"
        np.savez_compressed(self.places, **self.arrays)
        self.files = self.scan, self.places, self.photographs

    def number(self, z):
        return 1000 + MM * (DEPTH - 1 - z)


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    return Body(tmp_path_factory.mktemp("truth"))


def rows(table):
    """Return {method: {column: figure}}."""
    lines = table.splitlines()
    (start,) = [at for at, line in enumerate(lines) if line.split()[:1] == ["dE"]]
    head, count = lines[start].split(), len(lines[start].split())
    found = {}
    for line in lines[start + 1 : start + 4]:
        words = line.split()
        values = map(float, words[-count:])
        found[" ".join(words[:-count])] = dict(zip(head, values, strict=True))
    return found


def test_the_photographs_themselves_are_right_and_grey_is_not(body, tmp_path):
    volume = write_volume(tmp_path / "truth.ome.zarr", body.truth, MM)
    table = evaluate_truth(*body.files, QUICK, Silent(), volume=volume, output=tmp_path / "out")
    assert "is not recorded beside it" in table
    found = rows(table)
    own = found["truth.ome.zarr"]
    assert list(own)[:9] == COLUMNS
    assert [own[name] for name in COLUMNS[:7]] == [0] * 7
    assert own["contrast"] == 1
    assert own["kept"] > 0.9
    assert found["grey"]["dE"] > found["best transfer function*"]["dE"] > 3
    assert found["grey"]["contrast"] < 0.5
    written = pq.read_table(tmp_path / "out" / "truth.parquet").to_pylist()
    assert [row["method"] for row in written] == list(found)
    sheet = cv2.imread(str(tmp_path / "out" / "truth.png"))
    assert sheet.shape[1] == 3 * 44


def test_colours_of_another_place_are_wrong(body, tmp_path):
    moved = np.roll(body.truth, 3, axis=2)
    volume = write_volume(tmp_path / "moved.ome.zarr", moved, MM)
    own = rows(evaluate_truth(*body.files, QUICK, Silent(), volume=volume))["moved.ome.zarr"]
    assert own["dE"] > 3
    # Most colours are still there.
    assert own["palette"] < own["dE"]


def test_what_is_judged_and_what_is_near_gives_no_colours(body, tmp_path):
    split = Split(every=3, first=2, leave_out_mm=9.0)
    table = evaluate_truth(*body.files, QUICK, Silent(), split=split, output=tmp_path)
    judged = [body.number(z) for z in (30, 18, 6)]
    assert f"3 of 9 levels judged: {' '.join(map(str, judged))}" in table
    kept = {int(path.stem) for path in (tmp_path / "references").iterdir()}
    every = {body.number(z) for z in range(DEPTH)}
    assert kept == {n for n in every if all(abs(n - other) >= 9 for other in judged)}
    assert f"colours from {len(kept)} of {len(every)} photographs, none nearer than 12 mm" in table
    found = rows(table)
    # The parts of this body differ in HU: with hindsight a transfer function is as good as any.
    assert found["medcolor"]["dE"] < 0.5 * found["grey"]["dE"]

    # That volume has the colours of the levels between: it may not be judged by them.
    between = Split(levels=(body.number(22),))
    volume = tmp_path / "color.ome.zarr"
    with pytest.raises(InputError, match="which is judged or too near to one that is"):
        evaluate_truth(*body.files, QUICK, Silent(), split=between, volume=volume)
    again = evaluate_truth(*body.files, QUICK, Silent(), split=split, volume=volume)
    assert "colours from other photographs, none nearer than 12 mm" in again
    assert rows(again)["color.ome.zarr"] == pytest.approx(found["medcolor"], nan_ok=True)
    # Nor is another split mixed into its folder.
    with pytest.raises(InputError, match="of another split"):
        evaluate_truth(*body.files, QUICK, Silent(), split=between, output=tmp_path)


def test_the_default_split_is_every_fourth_and_leaves_its_neighbours(body):
    records = list_references(body.photographs, ReferenceSettings())
    numbers = [level.number for level in read_places(body.places)]
    judged = Split().judged(numbers)
    assert judged == numbers[3::4]
    library = divide(body.photographs, records, judged, 5.0, ReferenceSettings())
    assert {f"{n}.png" for n in judged} == {one.reference_id for one in library.left_out}
    assert library.nearest_mm == MM
    # A judged one never gives colours, whatever the distance.
    assert divide(body.photographs, records, judged, 0.0, ReferenceSettings()) == library


@pytest.mark.slow
def test_a_prepared_folder_says_how_its_photographs_lie_and_stays_one(body, tmp_path):
    """Upright frames, and names that say nothing of it."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    frames = []
    for z, rgb in enumerate(body.truth):
        name, number = f"{body.number(z)}.png", float(body.number(z))
        cv2.imwrite(str(folder / name), rgb[..., ::-1])
        frames.append(PreparedFrame("clean", name, number, number, name, "LPI"))
    write_manifest(folder, frames)
    (folder / "CREDITS.txt").write_text("Somebody's photographs")
    files = body.scan, body.places, folder
    split = Split(every=8, first=5)
    table = evaluate_truth(*files, QUICK, Silent(), split=split, output=tmp_path / "out")
    found = rows(table)
    assert found["medcolor"]["dE"] < 0.5 * found["grey"]["dE"]
    kept = read_manifest(tmp_path / "out" / "references")
    judged = f"{body.number(18)}.png"
    assert {one.file for one in kept} == {one.file for one in frames} - {judged}
    about = read_about(tmp_path / "out" / "color.ome.zarr")
    assert about.credit == "Somebody's photographs."
    volume = write_volume(tmp_path / "truth.ome.zarr", body.truth, MM)
    own = rows(evaluate_truth(*files, QUICK, Silent(), volume=volume))["truth.ome.zarr"]
    assert own["dE"] == 0
    index = tmp_path / "index"
    assert medcolor("index", "build", folder, index, "--set", *QUICK_WORDS).returncode == 0
    refused(body, "an index", photographs=index)


def spoilt(arrays, **changed):
    return {**arrays, **{f"1054_{name}": value for name, value in changed.items()}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: {}, "no level"),
        (lambda a: {**a, "notes": np.zeros(3)}, "holds notes"),
        (lambda a: {**a, "0104_place": np.zeros(3)}, "holds 0104_place"),
        (lambda a: {k: v for k, v in a.items() if k != "1054_body"}, "level 1054 has no body"),
        (lambda a: spoilt(a, place=a["1054_place"].astype(float)), "1054_place is float64"),
        (lambda a: spoilt(a, place=a["1054_place"][:, :5]), "1054_place is int16"),
        (lambda a: spoilt(a, box=np.array([2, 46, 3])), "1054_box is int64"),
        (lambda a: spoilt(a, box=np.array([-1, 43, 3, 47])), "1054_box is"),
        (lambda a: spoilt(a, box=np.array([46, 2, 3, 47])), "1054_box is"),
        (lambda a: spoilt(a, body=a["1054_body"][:-1]), "1054_body is uint8"),
        (lambda a: spoilt(a, body=np.array([{}], object)), "no file of places"),
    ],
)
def test_other_archives_are_refused_in_a_line(body, tmp_path, change, words):
    path = tmp_path / "places.npz"
    np.savez(path, **change(body.arrays))
    done = medcolor("evaluate", "truth", body.scan, path, body.photographs)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert words in line
    assert str(path) in line


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1054_place.npy", bytes(1 << 29))
        archive.writestr("1054_box.npy", b"")
        archive.writestr("1054_body.npy", b"")


def promise(path):
    """Write an array whose header says it is a terabyte."""
    head = "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 500000, 500000), }"
    head = head.ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for part in ("place", "box", "body"):
            archive.writestr(
                f"1054_{part}.npy", b"\x93NUMPY\x01\x00" + bytes([118, 0]) + head.encode()
            )


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)),
        lambda path: path.write_text("places"),
        lambda path: np.save(path.open("wb"), np.zeros(5)),
        lambda path: path.mkdir(),
        lambda _: None,
        bomb,
        promise,
    ],
)
def test_what_is_no_archive_is_refused_in_a_line(tmp_path, write):
    path = tmp_path / "places.npz"
    write(path)
    with pytest.raises(InputError, match=r"places\.npz: (no file of places|cannot be read)"):
        read_places(path)


def refused(body, words, *options, scan=None, photographs=None, places=None):
    given = scan or body.scan, places or body.places, photographs or body.photographs
    done = medcolor("evaluate", "truth", *given, *options)
    assert done.returncode == 2, done.stderr
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("error")]
    assert words in line


def test_what_does_not_belong_together_is_refused_in_a_line(body, tmp_path):
    refused(body, "no such level", "--level", 7)
    refused(body, "9 levels", "--first", 10)
    refused(body, "no photograph is 900 mm from all judged ones", "--leave-out", 900)
    other = write_volume(tmp_path / "other.ome.zarr", body.truth[:30], MM)
    refused(body, "its shape is (30, 48, 48)", "--volume", other)
    refused(body, "no coloured OME-Zarr volume", "--volume", tmp_path)
    stored = nib.load(body.scan)
    mri = nib.Nifti1Image(np.asarray(stored.dataobj) + 1000, stored.affine)
    nib.save(mri, tmp_path / "mri.nii.gz")
    refused(body, "not Hounsfield units", "--volume", other, scan=tmp_path / "mri.nii.gz")
    nib.save(stored.slicer[:, :, :5], tmp_path / "short.nii.gz")
    refused(body, "lie outside the scan of 5 x 48 x 48", scan=tmp_path / "short.nii.gz")

    few = tmp_path / "few"
    few.mkdir()
    for path in body.photographs.iterdir():
        if path.stem != str(body.number(14)):
            (few / path.name).symlink_to(path)
    refused(
        body,
        f"no photograph of level {body.number(14)}",
        *("--level", body.number(14)),
        photographs=few,
    )
    small = cv2.imread(str(body.photographs / f"{body.number(18)}.png"))[:30]
    (few / f"{body.number(18)}.png").unlink()
    cv2.imwrite(str(few / f"{body.number(18)}.png"), small)
    refused(
        body,
        "30 x 48 pixels, its box ends at 46, 47",
        *("--level", body.number(18)),
        photographs=few,
    )
    cv2.imwrite(str(few / f"front{body.number(18)}.png"), small)
    refused(body, "names carry no positions", photographs=few)


def test_places_between_voxels_are_interpolated_as_by_another_library():
    random = np.random.default_rng(0)
    volume = random.uniform(0, 255, (6, 7, 8, 3)).astype(np.float32)
    place = random.uniform(0, [[[5]], [[6]], [[7]]], (3, 9, 10)).astype(np.float32)
    where = random.random((9, 10)) < 0.7
    asked = []

    def read(slices):
        asked.extend(slices)
        return volume[slices.start : slices.stop]

    found = sample(read, place, where)
    oracle = RegularGridInterpolator([np.arange(side) for side in (6, 7, 8)], volume)
    np.testing.assert_allclose(found[where], oracle(place[:, where].T), atol=1e-3)
    assert not found[~where].any()
    assert max(asked) < 6


def test_errors_are_those_of_blurred_images_and_the_background_does_not_leak_in():
    random = np.random.default_rng(0)
    where = np.zeros((30, 32), bool)
    where[5:25, 6:30] = True
    one = rgb2lab(random.random((30, 32, 3)))
    other = one + np.array([0, 3.0, 4.0])
    likeness = Likeness()
    framed = [np.where(where[..., None], lab, fill) for lab, fill in ((other, 1e3), (one, -1e3))]
    likeness.add(*framed, where)
    blurs = [blurred(lab, where)[where] for lab in (one, other)]
    assert likeness.figures["chroma"] == pytest.approx(5)
    assert likeness.figures["dE"] == pytest.approx(deltaE_ciede2000(*blurs).mean())
    # By hand: weights exp(-d2 / 8) of the body's pixels, as far as four deviations.
    row, col = np.mgrid[0:30, 0:32]
    for at in ((5, 6), (12, 20)):
        near = (np.abs(row - at[0]) <= 8) & (np.abs(col - at[1]) <= 8) & where
        weight = near * np.exp(-((row - at[0]) ** 2 + (col - at[1]) ** 2) / 8)
        expected = (one * weight[..., None]).sum((0, 1)) / weight.sum()
        np.testing.assert_allclose(blurred(one, where)[at], expected, atol=1e-6)


def test_a_tissue_is_where_photograph_and_scan_agree_and_not_at_its_rim():
    kinds = {"muscle": (30, 20, 10, 50), "fat": (70, 5, 25, -90), "bone": (75, 3, 15, 900),
             "brain": (70, 8, 20, 35), "gel": (30, -5, -20, -950)}  # fmt: skip
    values = np.repeat(np.array(list(kinds.values()), float)[None], 9, axis=0).repeat(6, axis=1)
    where = np.ones((9, 30), bool)
    where[0] = False
    found = tissues_of(values[..., :3], values[..., 3], where)
    assert list(found) == ["muscle", "fat", "bone", "brain"]
    for k, name in enumerate(found):
        expected = np.zeros((9, 30), bool)
        # What ends at the picture's rim may go on behind it.
        expected[2:9, 6 * k + (k > 0) : 6 * k + 5] = True
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.slow
@pytest.mark.shared
def test_figures_are_those_of_the_tool_beside_the_development_data(shared, tmp_path):
    """Written by others, and as it stands but for OpenCV's Lab, which errs by up to 0.4."""
    path = shared.parent / "tools" / "truth_head.py"
    if not path.is_file() or not (shared / "truth-head").is_dir():
        pytest.skip("no such tool")
    spec = importlib.util.spec_from_file_location("truth_head", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.lab = lambda rgb: srgb_to_lab(np.asarray(rgb, np.float32) / 255).astype(np.float64)
    truth = tool.Truth(f"{shared}/truth-head/places.npz", f"{shared}/cryosection-head", tool.JUDGED)
    hu = truth.hu
    ramp = np.linspace(0, 1, 1201)[:, None] ** [0.4, 0.7, 1.0]  # from -200 to 1000 HU
    shown = ramp.astype(np.float32)[np.clip(hu + 200, 0, 1200).astype(np.int16)]
    shown *= np.linspace(153, 255, hu.shape[2], dtype=np.float32)[:, None]
    rgb = shown.astype(np.uint8)
    rgb[12::24] = (
        0  # of the slices whose structure is looked at, those without colours do not count
    )
    took = [truth.take(rgb, k) for k in range(len(truth.levels))]
    expected = truth.measure([tool.lab(one) for one in took])
    expected["kept"], expected["invented"] = tool.structure(rgb, hu)

    volume = write_volume(tmp_path / "v.ome.zarr", rgb, 1.0)
    files = (shared / name for name in ("truth-head/ct.nii.gz", "truth-head/places.npz"))
    table = evaluate_truth(
        *files, shared / "cryosection-head", load_settings(), Silent(), volume=volume
    )
    assert "judged: " + " ".join(map(str, tool.JUDGED)) in table
    found = rows(table)["v.ome.zarr"]
    assert found == pytest.approx(expected, abs=0.0051)
