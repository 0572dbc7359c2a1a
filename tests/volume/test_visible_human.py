"""Files of the exact layouts of the Visible Human; what they show is one analytic body."""

import struct
import subprocess

import cv2
import ncompress
import numpy as np
import pytest

from medcolor.domain import OUTSIDE
from medcolor.errors import EmptyFrameError, InputError
from medcolor.reference.library import list_references, load_reference
from medcolor.reference.settings import ReferenceSettings
from medcolor.volume import genesis
from medcolor.volume.images import read_image
from medcolor.volume.lzw import read_inflated
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.raw_cryosection import COLS, ROWS
from medcolor.volume.settings import VolumeSettings

DEFAULT, RESAMPLE = VolumeSettings(), VolumeSettings(uneven="resample")
SIDE = 512


def body_hu(left_mm, posterior_mm, number):
    """A smooth field in Hounsfield units, and air far outside."""
    radius = np.hypot(left_mm / 120, (posterior_mm - 8) / 90)
    inside = 40 + 0.9 * left_mm - 0.7 * posterior_mm + 0.5 * (number - 1100)
    return np.where(radius < 1, inside, -1024 + 1060 / (1 + np.exp(20 * (radius - 1.0))))


def pixels_of(number, field_mm, center):
    step = field_mm / SIDE
    at = (np.arange(SIDE) - (SIDE - 1) / 2) * step
    hu = body_hu(at[None] + center[0], at[:, None] + center[1], number)
    return np.round(np.clip(hu, -1024, 3000)).astype(np.int16) + 1024


def genesis_file(stored, field_mm, offset=3416, order=">"):
    """Return a file: header of the known fields, pixels big-endian."""
    height, width = stored.shape
    head = bytearray(offset)
    head[:4] = b"IMGF"
    head[4:24] = struct.pack(">5I", offset, width, height, 16, 1)
    head[148:152] = struct.pack(">I", 2394)
    step = field_mm / width
    fields = (
        struct.pack(">2h", width, height),
        b"\0" * 8,
        struct.pack(">4f", field_mm, field_mm, step, step),
    )
    head[2394 + 30 : 2394 + 30 + 28] = b"".join(fields)
    return bytes(head) + stored.astype(f"{order}i2").tobytes()


def write_slice(folder, number, field_mm=480.0, center=(0.0, 0.0), packed=True, kind="fro"):
    content = genesis_file(pixels_of(number, field_mm, center), field_mm)
    name = f"c_vm{number}.{kind}"
    path = folder / (f"{name}.Z" if packed else name)
    path.write_bytes(ncompress.compress(content) if packed else content)
    dots = "." * 20
    lines = [
        f"Image location{dots}: {-3.5 * number}",
        f"Center R coord of plane image{dots}: {-center[0]:f}",
        f"Center A coord of plane image{dots}: {-center[1]:f}",
        f"Center S coord of plane image{dots}: {1000.0 - number:f}",
    ]
    (folder / f"{name}.txt").write_bytes(("\0\r\n".join(lines) + "\0\n").encode("latin-1"))
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "frozenCT"
    made.mkdir()
    return made


def values(volume):
    return np.stack([read_slice(volume, z, DEFAULT) for z in range(volume.geometry.shape[0])])


def expected(volume):
    """The body sampled at the places that the volume says its voxels have."""
    affine = np.array(volume.geometry.affine)
    depth, rows, cols = volume.geometry.shape
    left = -(affine[0, 3] + affine[0, 0] * np.arange(cols))
    posterior = -(affine[1, 3] + affine[1, 1] * np.arange(rows))
    numbers = 1001 - (affine[2, 3] + affine[2, 2] * np.arange(depth))
    return np.stack([body_hu(left[None], posterior[:, None], n) for n in numbers])


def test_three_sessions_become_one_body(folder):
    sessions = {1100: (270.0, (3.0, -5.0)), 1102: (400.0, (-7.0, 4.0)), 1104: (480.0, (0.0, 2.0))}
    for first, (field, center) in sessions.items():
        for number in (first, first + 1):
            write_slice(folder, number, field, center)
    volume = open_volume(folder, DEFAULT, folder)
    assert volume.unit == "HU"
    assert volume.geometry.shape == (6, SIDE, SIDE)
    assert volume.geometry.spacing_mm == pytest.approx((1.0, 480 / 512, 480 / 512))
    found, truth = values(volume), expected(volume)
    # Inside the smallest field of view, away from the skin: half a unit of rounding.
    at = np.abs((np.arange(SIDE) - 255.5) * 480 / 512) < 60
    core = np.ix_(range(6), at, at)
    assert np.abs(found[core] - truth[core]).max() < 1.0
    assert any("270, 400, 480 mm" in step for step in volume.geometry.steps)
    assert not any("1000" in str(step) for step in volume.geometry.steps)


def test_beside_a_smaller_field_of_view_nothing_was_scanned(folder):
    for number, field in ((1100, 270.0), (1101, 480.0)):
        write_slice(folder, number, field)
    volume = open_volume(folder, DEFAULT, folder)
    upper, lower = values(volume)[::-1]  # 1100 is nearer the crown
    at = np.abs((np.arange(SIDE) - (SIDE - 1) / 2) * 480 / SIDE)
    is_inside = np.maximum(at[:, None], at[None]) < 270 / 2
    assert volume.has_outside
    assert ((upper != OUTSIDE) == is_inside).mean() > 0.99
    assert (lower != OUTSIDE).all()


def test_lost_and_empty_numbers_are_named_and_interpolated_where_asked_for(folder):
    for number in (1100, 1101, 1103, 1104, 1107):
        write_slice(folder, number)
    (folder / "c_vm1105.fro.Z").write_bytes(b"")
    (folder / "c_vm1106.fro").write_bytes(bytes(527_704))
    with pytest.raises(InputError, match=r"1102, 1105 to 1106.*volume\.uneven=resample"):
        open_volume(folder, DEFAULT, folder)
    volume = open_volume(folder, RESAMPLE, folder)
    assert volume.geometry.shape[0] == 8
    found, truth = values(volume), expected(volume)
    core = np.s_[:, 200:300, 200:300]
    assert np.abs(found[core] - truth[core]).max() < 1.1
    assert "numbers lost or empty: 1102, 1105 to 1106" in volume.geometry.steps


def test_an_image_that_was_stored_twice_is_recorded(folder):
    for number in (1100, 1101, 1103):
        write_slice(folder, number)
    twin = genesis_file(pixels_of(1101, 480.0, (0.0, 0.0)), 480.0)
    (folder / "c_vm1102.fro").write_bytes(twin)
    volume = open_volume(folder, DEFAULT, folder)
    assert "the same image twice: 1101 and 1102" in volume.geometry.steps


def test_slices_without_text_headers_count_as_centred(folder):
    for number in (1100, 1101):
        write_slice(folder, number, packed=False)
        (folder / f"c_vm{number}.fro.txt").unlink()
    volume = open_volume(folder, DEFAULT, folder)
    assert "slices without a text header taken as centred" in volume.geometry.steps
    core = np.s_[:, 200:300, 200:300]
    np.testing.assert_allclose(values(volume)[core], expected(volume)[core], atol=0.51)


def test_headers_lie_in_a_folder_of_their_own_too(tmp_path):
    folder, headers = tmp_path / "mri", tmp_path / "mriHeaders"
    folder.mkdir(), headers.mkdir()
    for number, height in ((11, 70.0), (12, 65.0), (13, 60.0)):
        stored = np.full((256, 256), number, np.int16)
        (folder / f"mvm{number}.t1").write_bytes(genesis_file(stored, 220.0, 7900))
        lines = [
            f"Center {letter} coord of plane image....{v}"
            for letter, v in zip("RAS", (0, 0, height), strict=True)
        ]
        (headers / f"mvm{number}.txt").write_text("\n".join(lines))
    volume = open_volume(folder, DEFAULT, folder)
    assert volume.unit == "raw"
    assert volume.geometry.spacing_mm == pytest.approx((5.0, 220 / 256, 220 / 256))
    assert values(volume)[:, 0, 0].tolist() == [13, 12, 11]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda whole: whole[:100_000], "truncated"),
        (lambda whole: whole[:-2], "truncated"),
        (lambda whole: whole[:-3000], "truncated"),
        (lambda whole: whole + b"more", "truncated"),
        (lambda whole: b"GIMF" + whole[4:], "no GE Genesis image"),
        (lambda whole: whole[:8] + struct.pack(">I", 1 << 30) + whole[12:], "pixels of 16 bit"),
        (lambda whole: whole[:148] + struct.pack(">I", 1 << 31) + whole[152:], "beyond its end"),
        (
            lambda whole: whole[:3416] + np.frombuffer(whole[3416:], "<i2").astype(">i2").tobytes(),
            "bytes may be swapped",
        ),
    ],
)
def test_damaged_slices_are_named(folder, damage, problem):
    for number in (1100, 1101):
        write_slice(folder, number, packed=False)
    path = folder / "c_vm1101.fro"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=problem):
        values(open_volume(folder, DEFAULT, folder))


def test_a_lying_offset_is_set_right_by_the_size(folder):
    for number in (1100, 1101):
        write_slice(folder, number, packed=False)
        path = folder / f"c_vm{number}.fro"
        whole = path.read_bytes()
        path.write_bytes(whole[:4] + struct.pack(">I", 4000) + whole[8:])
    volume = open_volume(folder, DEFAULT, folder)
    np.testing.assert_allclose(values(volume)[:, 256, 256], expected(volume)[:, 256, 256], atol=0.6)
    assert "where pixels begin told by the size in 2 slices" in volume.geometry.steps


def test_text_headers_count_among_the_files_that_decide_voxels(folder):
    for number in (1100, 1101):
        write_slice(folder, number)
    volume = open_volume(folder, DEFAULT, folder)
    assert {path.name for path in volume.files} == {path.name for path in folder.iterdir()}


def test_lzw_agrees_with_gzip_and_is_bounded(tmp_path):
    content = np.random.default_rng(0).integers(0, 40, 300_000).astype(np.uint8).tobytes()
    path = tmp_path / "a.Z"
    path.write_bytes(ncompress.compress(content))
    by_gzip = subprocess.run(["gzip", "-dc", path], capture_output=True, check=True).stdout
    assert read_inflated(path, 300_000) == by_gzip == content
    with pytest.raises(InputError, match="more than the 299999 bytes"):
        read_inflated(path, 299_999)
    path.write_bytes(b"\x1f\x9dgarbage")
    with pytest.raises(InputError, match="damaged"):
        read_inflated(path, 1000)


def frame(tissue=(190, 120, 100)):
    """A body on blue gel."""
    rgb = np.full((ROWS, COLS, 3), (30, 60, 160), np.uint8)
    cv2.ellipse(rgb, (COLS // 2, ROWS // 2), (600, 400), 0, 0, 360, tissue, -1)
    cv2.circle(rgb, (COLS // 2 - 200, ROWS // 2), 90, (230, 215, 140), -1)
    return rgb


def test_planar_cryosections_are_read_packed_or_not(tmp_path):
    rgb = frame()
    planar = np.ascontiguousarray(rgb.transpose(2, 0, 1)).tobytes()
    (tmp_path / "a_vm1001.raw").write_bytes(planar)
    (tmp_path / "a_vm1002.raw.Z").write_bytes(ncompress.compress(planar))
    for name in ("a_vm1001.raw", "a_vm1002.raw.Z"):
        np.testing.assert_array_equal(read_image(tmp_path / name), rgb)
    (tmp_path / "a_vm1003.raw").write_bytes(planar[:-1])
    with pytest.raises(InputError, match="expected 7471104"):
        read_image(tmp_path / "a_vm1003.raw")


def test_a_library_of_raw_cryosections_knows_places_and_placeholders(tmp_path):
    planar = np.ascontiguousarray(frame().transpose(2, 0, 1)).tobytes()
    (tmp_path / "a_vm1001.raw").write_bytes(planar)
    (tmp_path / "a_vm1002.raw.Z").write_bytes(b"")
    (tmp_path / "a_vm1003.raw").write_bytes(bytes(len(planar)))
    (tmp_path / "avf1004b.raw.Z").write_bytes(ncompress.compress(planar))
    records = list_references(tmp_path, ReferenceSettings())
    assert [round(r.position_mm or 0, 2) for r in records] == [1001, 1002, 1003, 1004.33]
    for number in (1, 2):
        with pytest.raises(EmptyFrameError, match="placeholder"):
            load_reference(records[number], ReferenceSettings())
    assert load_reference(records[3], ReferenceSettings()).tissue.any()


def test_names_are_told_apart():
    assert genesis.is_genesis_name("c_vm1006.fro.Z")
    assert genesis.is_genesis_name("c_vf1001.fre")
    assert not genesis.is_genesis_name("c_vm1006.fro.txt")
    assert not genesis.is_genesis_name("1006.png")
