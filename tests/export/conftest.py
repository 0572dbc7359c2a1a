"""A small coloured volume that lies aslant, in two levels."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medcolor.domain import VolumeGeometry
from medcolor.volume.geometry import as_affine
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, write_slab

SETTINGS = StoreSettings(slab_slices=4, chunk=(4, 8, 8), smallest_side=10)


@pytest.fixture
def volume(tmp_path):
    """A volume of two levels whose axes are oblique, in LPS."""
    turn = np.array(sitk.Euler3DTransform((0.0,) * 3, 0.1, 0.05, -0.2).GetMatrix()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ turn * [0.8, 0.7, 2.0]
    affine[:3, 3] = [31.0, -22.5, 13.25]
    geometry = VolumeGeometry((10, 13, 15), (2.0, 0.7, 0.8), as_affine(affine))
    path = tmp_path / "scan.ome.zarr"
    fine, coarse = create_store(path, geometry, SETTINGS, {})
    rgba = np.random.default_rng(4).integers(0, 256, (10, 13, 15, 4), dtype=np.uint8)
    for number in range(fine.slab_count(4)):
        slices = fine.slab(number, 4)
        write_slab(path, 0, slices, rgba[slices.start : slices.stop])
        slices = coarse.slab(number, 4)
        write_slab(path, 1, slices, coarse_slab(path, coarse, slices))
    return path


@pytest.fixture(params=[0, 1])
def level(request):
    return request.param
