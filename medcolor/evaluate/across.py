"""Phantom scans of one person coloured from another's cryosections, through the whole product.

The truth is the first person's own cryosection, which the product never sees.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.api import colorize_volume
from medcolor.color import srgb_to_lab
from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.evaluate.baselines import GreyTransfer
from medcolor.evaluate.metrics import ColorError, error_table
from medcolor.evaluate.phantom import Phantom, Region, Tissue, make_phantom, render_cryosection
from medcolor.evaluate.phantom_files import Modality, write_photographs, write_scan
from medcolor.progress import ProgressReport
from medcolor.volume.images import write_png
from medcolor.volume.store import read_slices

Grey = Float[np.ndarray, "z y x"]
Rgb = UInt8[np.ndarray, "z y x 3"]

_PICTURES = 6


@dataclass(frozen=True)
class Case:
    """One scan to colour."""

    region: Region
    modality: Modality
    spacing_mm: float
    target_seed: int = 1
    reference_seed: int = 2

    @property
    def name(self) -> str:
        """Region and modality."""
        return f"{self.region}-{self.modality}"


CASES = (
    Case("head", "ct", 2.0),
    Case("head", "t1", 2.0),
    Case("head", "t2", 2.0),
    Case("trunk", "ct", 3.0),
)
"""What `medcolor evaluate color` measures without photographs."""


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case, and the truth that stays with the judge."""

    scan: Path
    photographs: Path
    target: Phantom
    reference: Phantom


def write_case(case: Case, folder: Path) -> CaseFiles:
    """Write the scan of one person and the photographs of the other."""
    target = make_phantom(case.target_seed, region=case.region, spacing_mm=case.spacing_mm)
    reference = make_phantom(case.reference_seed, region=case.region, spacing_mm=case.spacing_mm)
    return CaseFiles(
        write_scan(target, case.modality, folder),
        write_photographs(reference, folder / "photographs"),
        target,
        reference,
    )


def choose_cases(names: Sequence[str]) -> list[Case]:
    """Return the cases of these names, all if none is named."""
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise InputError(f"--case {name}", "no such case", f"Give one of {', '.join(known)}")
    return [known[name] for name in names] if names else list(CASES)


def evaluate_across(
    cases: Sequence[Case],
    settings: RunSettings,
    progress: ProgressReport,
    *,
    pictures: Path | None = None,
) -> str:
    """Colour every case and return the tables of mean errors.

    Args:
        cases: What to colour.
        settings: Of the product.
        progress: Told how far it is.
        pictures: Folder for scan, result and truth side by side, or None.
    """
    tables = []
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = write_case(case, folder)
            output = folder / "color.ome.zarr"
            colorize_volume(
                files.scan, files.photographs, output, settings=settings, progress=progress
            )
            errors, sheet = judge(files, output)
        title = f"{case.name}, person {case.target_seed} from person {case.reference_seed}"
        tables.append(error_table(title, errors))
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            write_png(pictures / f"{case.name}.png", sheet)
    return "\n\n".join([*tables, "* fitted to the truth with hindsight"])


def judge(
    files: CaseFiles, output: Path
) -> tuple[dict[str, ColorError], UInt8[np.ndarray, "row col 3"]]:
    """Compare a coloured volume with the truth, beside what grey levels alone could do.

    Returns:
        Mean errors by method over the body without its air, and a sheet of slices:
        scan, result, truth.
    """
    grey = _display_grey(files.scan)
    truth = render_cryosection(files.target)
    result = read_slices(output, 0, range(len(grey)))
    body = (files.target.labels != Tissue.AIR) & (files.target.labels != Tissue.CAVITY)
    truth_lab = _lab(truth)
    # A reference photograph knows its own grey: its luminance is all a look-up can use.
    look_up, hindsight = GreyTransfer(), GreyTransfer()
    _fit_to_photographs(look_up, files.reference)
    hindsight.fit(grey[body], truth_lab[body])
    lab = {
        "grey": _lab(np.repeat(np.rint(255 * grey)[..., None], 3, axis=-1).astype(np.uint8)),
        "look-up by grey level": look_up(grey),
        "best transfer function*": hindsight(grey),
        "medcolor": _lab(result[..., :3]),
    }
    errors = {name: ColorError() for name in lab}
    for name, image in lab.items():
        errors[name].add(image, truth_lab, body)
    return errors, _sheet(grey, result[..., :3], truth, body)


def _display_grey(scan: Path) -> Grey:
    """Return the scan between its 1st and 99.8th percentile, 0..1, (z, y, x) as written."""
    values = np.asarray(nib.nifti1.load(scan).dataobj, np.float32).transpose(2, 1, 0)
    low, high = np.percentile(values, [1, 99.8])
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


def _fit_to_photographs(transfer: GreyTransfer, reference: Phantom) -> None:
    """Fit grey level to colour on the reference person's photographs."""
    labels = reference.labels
    lab = _lab(render_cryosection(reference))
    body = (labels != Tissue.AIR) & (labels != Tissue.CAVITY)
    transfer.fit(lab[body][:, 0] / 100, lab[body])


def _lab(rgb: Rgb) -> Float[np.ndarray, "z y x 3"]:
    """Convert slice by slice: in floating point a volume at once is large."""
    return np.stack([srgb_to_lab(part.astype(np.float32) / 255) for part in rgb])


def _sheet(
    grey: Grey, result: Rgb, truth: Rgb, body: Bool[np.ndarray, "z y x"]
) -> UInt8[np.ndarray, "row col 3"]:
    """Return evenly spread slices in columns: scan, result and truth on black."""
    shown = np.flatnonzero(body.any(axis=(1, 2)))
    columns = []
    for z in shown[np.linspace(len(shown) - 1, 0, _PICTURES).round().astype(int)]:
        scan = np.repeat(np.rint(255 * grey[z])[..., None], 3, axis=-1).astype(np.uint8)
        clean = np.where(body[z, ..., None], truth[z], 0)
        columns.append(np.concatenate([scan, result[z], clean]))
    return np.concatenate(columns, axis=1)
