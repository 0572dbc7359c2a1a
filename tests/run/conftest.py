"""Volumes that tests of the colour model copy or compare with."""

from __future__ import annotations

import pytest
from conftest import make_photographs, make_scan
from model_runs import LOOKS, OTHER, SLABS, settings_of
from trees import tree_bytes

import medcolor


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    scan = make_scan(folder / "scan.nii", slices=2 * SLABS, size=40)
    return scan, make_photographs(folder / "photographs", count=4)


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """Finished volumes with their ledgers, by look; to be copied."""
    folder = tmp_path_factory.mktemp("made")
    for look in LOOKS:
        output = folder / look / "v.ome.zarr"
        assert medcolor.colorize_volume(*small, output, settings=settings_of(look)).is_complete
    return folder


@pytest.fixture(scope="module")
def otherwise(small, tmp_path_factory):
    """A volume of other settings."""
    output = tmp_path_factory.mktemp("other") / "v.ome.zarr"
    assert medcolor.colorize_volume(*small, output, settings=OTHER).is_complete
    return output


@pytest.fixture
def truth(made):
    return tree_bytes(made / "photograph" / "v.ome.zarr")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "v.ome.zarr"
