"""What several tests share: small made-up scans and photographs, and the development data."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
import torch

from medcolor.config import RunSettings, load_settings
from medcolor.features.store import LoadedNetwork, load_network

# One thread a process, here and in those it starts: two pytest workers share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's processes are nice by default: beside another pytest worker they would starve.
os.environ.setdefault("RAY_worker_niceness", "0")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # Triton reads it on import
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development data folder; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no development data in {SHARED.name} beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def network() -> LoadedNetwork:
    """The embedded network."""
    return load_network()


@pytest.fixture(scope="session")
def quick() -> RunSettings:
    """Settings small enough for tests that run the whole job.

    That the photographs lie as `make_photographs` draws them is said: to find it takes longer than
    all else of a run this small.
    """
    return load_settings(
        None,
        [
            *("features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"),
            f"reference.orientation={ORIENTATION}",
        ],
    )


def draw_slice(level: float, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Return grey (0..1) and tissue labels of an egg with three organs that move with `level`."""
    rows, cols = np.mgrid[0:size, 0:size] / size
    labels = np.zeros((size, size), int)
    labels[((rows - 0.5) / 0.42) ** 2 + ((cols - 0.5) / (0.3 + 0.1 * level)) ** 2 < 1] = 1
    labels[(rows - 0.35) ** 2 + (cols - 0.4) ** 2 < (0.08 + 0.05 * level) ** 2] = 2
    labels[(rows - 0.6) ** 2 + (cols - 0.62 + 0.1 * level) ** 2 < 0.01] = 3
    labels[(np.abs(rows - 0.75) < 0.04) & (np.abs(cols - 0.5) < 0.15)] = 4
    return np.array([0.0, 0.5, 0.8, 0.3, 1.0])[labels], labels


COLORS = np.array(
    [[255, 255, 255], [200, 150, 110], [120, 40, 40], [230, 210, 120], [235, 230, 215]], np.uint8
)


def make_scan(path: Path, slices: int = 10, size: int = 48) -> Path:
    """Write a NIfTI scan whose slices run to the head."""
    grey = np.stack([draw_slice(z / max(1, slices - 1), size)[0] for z in range(slices)])
    stored = np.round(1000 * grey).astype(np.int16).transpose(2, 1, 0)
    affine = np.diag([-1.5, -1.5, 3.0, 1.0])
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(stored, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


ORIENTATION = "LAI"
"""Of the photographs that `make_photographs` writes."""


def make_photographs(folder: Path, count: int = 6, size: int = 60) -> Path:
    """Write frames on white as the Visible Human has them: flipped rows, numbers from the head."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        level = 1 - index / max(1, count - 1)
        rgb = COLORS[draw_slice(level, size)[1]][::-1]
        cv2.imwrite(str(folder / f"{1000 + 5 * index}.png"), rgb[..., ::-1])
    return folder


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A scan of ten slices."""
    return make_scan(tmp_path / "scan.nii.gz")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Six photographs."""
    return make_photographs(tmp_path / "photographs")
