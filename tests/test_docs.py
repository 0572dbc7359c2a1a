"""The code in the documents runs."""

import re
from pathlib import Path

import numpy as np

from medcolor.domain import VolumeGeometry
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, read_slices, write_slab

DOCS = Path(__file__).parents[1] / "docs"


def test_the_napari_recipe_gives_channels_last(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "viewers.md").read_text(), re.DOTALL)
    spacing = (2.0, 1.0, 1.0)
    affine = as_affine(affine_from_code("LPS", spacing))
    settings = StoreSettings(slab_slices=4, chunk=(4, 8, 8), smallest_side=8)
    path = tmp_path / "t1.ome.zarr"
    levels = create_store(path, VolumeGeometry((4, 16, 12), spacing, affine), settings, {})
    rgba = np.random.default_rng(0).integers(0, 256, (4, 16, 12, 4), dtype=np.uint8)
    write_slab(path, 0, range(4), rgba)
    write_slab(path, 1, range(4), coarse_slab(path, levels[1], range(4)))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    np.testing.assert_array_equal(names["rgba"][0].compute(), rgba)
    np.testing.assert_array_equal(names["rgba"][1].compute(), read_slices(path, 1, range(4)))
