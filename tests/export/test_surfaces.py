"""Surfaces of tissues: closed, in their place to half a voxel, in the colours of the volume."""

from collections import Counter

import command
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from meshes import read_glb, read_ply

import medcolor
from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.errors import InputError
from medcolor.export.options import ExportOptions
from medcolor.export.write import export
from medcolor.progress import Silent
from medcolor.volume.geometry import as_affine
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, read_affine, write_slab

CT = GreyLevels(-350.0, 650.0, "HU", is_alpha=True)
SHAPE = (36, 48, 52)
SPACING_MM = (2.0, 1.5, 1.25)
CENTER = np.array([25.0, 24.0, 18.0])
"""Of the body, in voxels (x, y, z)."""

BODY_MM, BONE_MM, CAVITY_MM = 24.0, 16.0, 8.0
LEFT, RIGHT, BONE = (190, 140, 110), (90, 50, 40), (230, 220, 190)
READERS = {".glb": read_glb, ".ply": read_ply}


def affine_of_volume() -> np.ndarray:
    turn = np.array(sitk.Euler3DTransform((0.0,) * 3, 0.1, 0.05, -0.2).GetMatrix()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ turn * SPACING_MM[::-1]
    affine[:3, 3] = [31.0, -22.5, 113.25]
    return affine


def radius_mm(center: np.ndarray = CENTER) -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    steps = [(x - center[0]) * SPACING_MM[2], (y - center[1]) * SPACING_MM[1]]
    return np.sqrt(sum(one**2 for one in [*steps, (z - center[2]) * SPACING_MM[0]]))


def ramp(inside_mm: np.ndarray) -> np.ndarray:
    """Return which part of a voxel lies inside, from the depth of its centre: partial volume."""
    return np.clip(inside_mm / 1.5 + 0.5, 0, 1)


def write(path, hounsfield, rgb, grey=CT):
    """Write a volume of two levels, as colorize would."""
    geometry = VolumeGeometry(SHAPE, SPACING_MM, as_affine(affine_of_volume()))
    settings = StoreSettings(slab_slices=8, chunk=(8, 16, 16), smallest_side=30)
    credit = "Photographs: somebody,\nsomewhere"
    levels = create_store(path, geometry, settings, {}, grey=grey, credit=credit)
    alpha = np.rint(255 * np.clip((hounsfield + 350) / 1000, 0, 1))
    rgba = np.concatenate([rgb, alpha[..., None]], axis=-1).astype(np.uint8)
    for level in levels:
        for number in range(level.slab_count(8)):
            slab = level.slab(number, 8)
            voxels = rgba[slab.start : slab.stop] if level.index == 0 else None
            write_slab(
                path,
                level.index,
                slab,
                coarse_slab(path, level, slab) if voxels is None else voxels,
            )
    return path


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    """A ball of flesh around a shell of bone around air; the patient's left half is pale."""
    radius = radius_mm()
    hounsfield = -1000 + 1050 * ramp(BODY_MM - radius)
    hounsfield += 900 * ramp(BONE_MM - radius) - 1950 * ramp(CAVITY_MM - radius)
    rgb = np.where(np.indices(SHAPE)[2][..., None] > CENTER[0], LEFT, RIGHT)
    rgb = np.where(radius[..., None] < BONE_MM + 1, BONE, rgb)
    rgb[radius > BODY_MM] = 0  # air is black
    return write(tmp_path_factory.mktemp("ball") / "ball.ome.zarr", hounsfield, rgb)


def made(volume, target, level=0, **options):
    path = export(volume, target, Silent(), ExportOptions(**options), level=level)
    return READERS[path.suffix](path)


def distances_mm(points):
    """Return how far points in LPS lie from the centre of the ball."""
    center = affine_of_volume() @ [*CENTER, 1]
    return np.linalg.norm(points - center[:3] * [-1, -1, 1], axis=1)


def assert_closed(mesh):
    """Every edge has two triangles, which run along it in opposite directions."""
    edges = np.concatenate([mesh.triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    counts = Counter(map(tuple, edges.tolist()))
    assert set(counts.values()) == {1}
    assert all((b, a) in counts for a, b in counts)


def enclosed_mm3(mesh):
    a, b, c = (mesh.points[mesh.triangles[:, corner]].astype(float) for corner in range(3))
    return np.einsum("ti,ti->", a, np.cross(b, c)) / 6


def index_of(mesh):
    """Return the voxels (x, y, z) of the finest level at which points lie."""
    return (np.linalg.inv(affine_of_volume()) @ homogeneous(mesh.points * [-1, -1, 1])).T[:, :3]


def homogeneous(points):
    return np.column_stack([points, np.ones(len(points))]).T


def voxels_off(mesh, volume, level):
    """Return how far points lie outside the body, in voxels along its normal."""
    off_mm = distances_mm(mesh.points) - BODY_MM
    normal = (index_of(mesh) - CENTER) * SPACING_MM[::-1]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    spacing = np.linalg.norm(np.array(read_affine(volume, level))[:3, :3], axis=0)
    return off_mm * np.linalg.norm(normal / spacing, axis=1)


@pytest.fixture(scope="module")
def mri(tmp_path_factory):
    """A ball of the same size, whose gray levels are none of CT's, around something dark."""
    radius = radius_mm()
    gray = 300 * ramp(BODY_MM - radius) - 250 * ramp(CAVITY_MM - radius)
    path = tmp_path_factory.mktemp("mri") / "mri.ome.zarr"
    rgb = np.full((*SHAPE, 3), 100)
    return write(path, gray - 350, rgb, GreyLevels(0.0, 900.0, "raw", is_alpha=True))


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("kind", ["ball", "mri"])
def test_the_skin_lies_within_half_a_voxel_of_the_body_and_has_no_inside(
    request, tmp_path, suffix, level, kind
):
    """Alpha of a CT is black where half of a voxel is air: a point in a hundred is further off."""
    volume = request.getfixturevalue(kind)
    mesh = made(volume, tmp_path / f"skin{suffix}", level)
    off = voxels_off(mesh, volume, level)
    assert np.percentile(np.abs(off), 99) < 0.5
    assert abs(off.mean()) < 0.3
    assert_closed(mesh)
    assert enclosed_mm3(mesh) == pytest.approx(4 / 3 * np.pi * BODY_MM**3, rel=0.07)


@pytest.mark.parametrize("suffix", READERS)
def test_bone_is_a_shell_where_half_of_a_voxel_is_bone(ball, tmp_path, suffix):
    """180 HU lie a seventh of the way from flesh (50 HU) to bone (950)."""
    mesh = made(ball, tmp_path / f"bone{suffix}", tissue="bone")
    outer, inner = BONE_MM + 1.5 * (0.5 - 130 / 900), CAVITY_MM - 1.5 * (0.5 - 1180 / 1950)
    found = distances_mm(mesh.points)
    off = np.minimum(np.abs(found - outer), np.abs(found - inner))
    assert off.max() < min(SPACING_MM) / 2
    assert (np.abs(found - inner) < 1).any()
    assert_closed(mesh)
    shell = 4 / 3 * np.pi * (outer**3 - inner**3)
    assert enclosed_mm3(mesh) == pytest.approx(shell, rel=0.06)


@pytest.mark.parametrize("suffix", READERS)
def test_points_have_the_colours_of_the_solid_voxels_below(ball, tmp_path, suffix):
    """None is darkened by the air beside it; what is pale is the patient's left."""
    mesh = made(ball, tmp_path / f"skin{suffix}")
    from_middle = index_of(mesh)[:, 0] - CENTER[0] - 0.5
    for color, side in ((LEFT, from_middle > 8), (RIGHT, from_middle < -8)):
        assert side.sum() > 100
        assert np.abs(mesh.rgb[side] - color).max() < 3


@pytest.mark.parametrize("suffix", READERS)
def test_normals_look_outward(ball, tmp_path, suffix):
    mesh = made(ball, tmp_path / f"skin{suffix}")
    center = (affine_of_volume() @ [*CENTER, 1])[:3] * [-1, -1, 1]
    outward = mesh.points - center
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-3)
    assert np.einsum("pi,pi->p", mesh.normals, outward).min() > 0.9


def test_glb_stands_upright_in_metres_and_looks_forward(tmp_path):
    """What `read_glb` turns back: up is the head, x the patient's left, z the front."""
    volume = write(
        tmp_path / "v.ome.zarr",
        -1000 + 1050 * ramp(9 - radius_mm(np.array([40.0, 10.0, 28.0]))),
        np.full((*SHAPE, 3), 100),
    )
    mesh = made(volume, tmp_path / "skin.glb")
    lps = (affine_of_volume() @ [40, 10, 28, 1])[:3] * [-1, -1, 1]
    np.testing.assert_allclose(mesh.points.mean(axis=0), lps, atol=0.5)


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("tissue", ["skin", "bone"])
def test_trimesh_opens_surfaces_in_their_place_as_printers_do(ball, tmp_path, suffix, tissue):
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / f"{tissue}{suffix}"
    expected = made(ball, path, tissue=tissue)
    scene = trimesh.load(path)
    mesh = scene.to_geometry() if suffix == ".glb" else scene
    x, y, z = np.asarray(mesh.vertices).T
    found = 1000 * np.stack([x, -z, y], axis=-1) if suffix == ".glb" else np.asarray(mesh.vertices)
    np.testing.assert_allclose(found, expected.points, atol=1e-3)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0


def test_a_body_that_the_scan_cuts_is_closed_at_its_last_slice(tmp_path):
    _, y, x = np.indices(SHAPE)
    radius = np.hypot((x - CENTER[0]) * SPACING_MM[2], (y - CENTER[1]) * SPACING_MM[1])
    volume = write(
        tmp_path / "v.ome.zarr", -1000 + 1050 * ramp(15 - radius), np.full((*SHAPE, 3), 9)
    )
    mesh = made(volume, tmp_path / "skin.ply")
    assert_closed(mesh)
    # Its faces are those of the outermost voxels, half a voxel beyond their centres.
    z = index_of(mesh)[:, 2]
    assert [z.min(), z.max()] == pytest.approx([-0.5, SHAPE[0] - 0.5], abs=0.1)


def test_a_surface_does_not_depend_on_how_many_slices_are_made_at_a_time(
    ball, tmp_path, monkeypatch
):
    for tissue in ("skin", "bone"):
        whole = made(ball, tmp_path / f"{tissue}.ply", tissue=tissue)
        with monkeypatch.context() as patched:
            patched.setattr("medcolor.export.surface.part_slices", lambda _: 5)
            parts = made(ball, tmp_path / f"{tissue}-parts.ply", tissue=tissue)
        np.testing.assert_array_equal(parts.points, whole.points)
        np.testing.assert_array_equal(parts.triangles, whole.triangles)


def test_fewer_triangles_keep_place_and_closure(ball, tmp_path):
    most = 1500
    whole = made(ball, tmp_path / "whole.ply")
    mesh = made(ball, tmp_path / "skin.ply", triangles=most)
    assert most / 2 < len(mesh.triangles) <= most < len(whole.triangles)
    assert np.abs(distances_mm(mesh.points) - BODY_MM).max() < min(SPACING_MM)
    assert_closed(mesh)
    assert enclosed_mm3(mesh) == pytest.approx(enclosed_mm3(whole), rel=0.02)
    assert np.ptp(mesh.rgb, axis=0).min() > 50


def test_specks_beside_the_body_are_left_out(tmp_path):
    hounsfield = -1000 + 1050 * ramp(BODY_MM - radius_mm())
    hounsfield[2:4, 2:4, 2:4] = 50
    volume = write(tmp_path / "v.ome.zarr", hounsfield, np.full((*SHAPE, 3), 100))
    assert distances_mm(made(volume, tmp_path / "skin.ply").points).max() < BODY_MM + 2


def test_files_say_whose_the_colours_are_and_that_they_are_not_measured(ball, tmp_path):
    for suffix in READERS:
        words = made(ball, tmp_path / f"skin{suffix}").words
        assert "Photographs: somebody," in words
        assert "not measured" in words
    assert "comment SPACE=LPS\n" in words


def test_bone_of_a_scan_without_hounsfield_units_is_a_warning(tmp_path, caplog):
    grey = GreyLevels(0.0, 900.0, "raw", is_alpha=True)
    hounsfield = -1000 + 1600 * ramp(BODY_MM - radius_mm())
    volume = write(tmp_path / "v.ome.zarr", hounsfield, np.full((*SHAPE, 3), 100), grey)
    made(volume, tmp_path / "bone.ply", tissue="bone")
    assert "what is brightest is taken for bone" in caplog.text


def test_what_alpha_does_not_tell_and_what_is_not_there_is_refused(ball, tmp_path):
    body = -1000 + 1050 * ramp(BODY_MM - radius_mm())
    rgb = np.full((*SHAPE, 3), 100)
    flat = write(
        tmp_path / "flat.ome.zarr", body, rgb, GreyLevels(-350.0, 650.0, "HU", is_alpha=False)
    )
    boneless = write(tmp_path / "boneless.ome.zarr", body, rgb)
    empty = write(tmp_path / "empty.ome.zarr", np.full(SHAPE, -1000.0), 0 * rgb)
    target = tmp_path / "x.glb"
    for volume, tissue, problem in (
        (flat, "bone", "alpha of this volume is not one of them"),
        (boneless, "bone", "shows no bone"),
        (empty, "skin", "shows no skin"),
    ):
        with pytest.raises(InputError, match=problem):
            made(volume, target, tissue=tissue)
    for name, options, problem in (
        ("x.nii", {"tissue": "bone"}, "--tissue is for surfaces alone"),
        ("x", {"triangles": 9}, "--triangles is for surfaces alone"),
        ("x.glb", {"folder_format": "dicom"}, "--as says dicom"),
    ):
        with pytest.raises(InputError, match=problem):
            export(ball, tmp_path / name, Silent(), ExportOptions(**options))
    assert not target.exists()


def test_only_fewer_triangles_need_the_extra(ball, tmp_path, monkeypatch):
    monkeypatch.setattr("medcolor.extras.missing_modules", lambda _: ["pyvista"])
    assert medcolor.export_volume(ball, tmp_path / "a.ply").is_file()
    with pytest.raises(InputError, match=r"pip install 'medcolor\[render\]'"):
        medcolor.export_volume(ball, tmp_path / "b.ply", options=ExportOptions(triangles=9))


def test_the_command_writes_a_surface(ball, tmp_path):
    done = command.medcolor(
        "export", ball, tmp_path / "b.glb", "--tissue", "bone", "--triangles", 900, "--level", 1
    )
    assert done.returncode == 0, done.stderr
    assert len(read_glb(tmp_path / "b.glb").triangles) <= 900
    wrong = command.medcolor("export", ball, tmp_path / "c.glb", "--tissue", "spleen")
    assert wrong.returncode == 2
    assert "--tissue spleen: not a tissue. Give skin, muscle, organs, bone." in wrong.stderr
