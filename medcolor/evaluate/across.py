"""Phantom scans of one person coloured from another's cryosections, through the whole product.

The truth is the first person's own cryosection, which the product never sees.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.api import colorize_volume
from medcolor.color import srgb_to_lab
from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.evaluate.baselines import Colorizer, GreyTransfer, Lab, by_statistics
from medcolor.evaluate.metrics import LEGEND, ColorReport, measure
from medcolor.phantom import Phantom, Region, Tissue, make_phantom, render_cryosection
from medcolor.phantom.files import Modality, write_photographs, write_scan
from medcolor.progress import ProgressReport
from medcolor.volume.images import write_png
from medcolor.volume.store import read_slices

Grey = Float[np.ndarray, "z y x"]
Rgb = UInt8[np.ndarray, "z y x 3"]

_PICTURES = 6
_WELSH_EVERY = 5


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
        pictures: Folder for scan, result and truth side by side and the figures of every
            slice, or None.
    """
    report, tables = ColorReport(), []
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = write_case(case, folder)
            output = folder / "color.ome.zarr"
            colorize_volume(
                files.scan, files.photographs, output, settings=settings, progress=progress
            )
            sheet = judge(case, files, output, report)
        title = f"{case.name}, person {case.target_seed} from person {case.reference_seed}"
        tables.append(f"{title}\n{report.table(case.name)}")
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            write_png(pictures / f"{case.name}.png", sheet)
    if pictures is not None:
        report.write(pictures / "color.parquet")
    return "\n\n".join([*tables, f"* knows the truth, or where which tissue is\n{LEGEND}"])


def judge(
    case: Case, files: CaseFiles, output: Path, report: ColorReport
) -> UInt8[np.ndarray, "row col 3"]:
    """Compare a coloured volume with the truth, beside what others could do.

    Baselines: colours by statistics of the other person's photographs; the best transfer
    function with hindsight; and the other person's mean colour of every tissue, for someone who
    knows where which tissue is. No method that takes its colours from that person alone can be
    expected to be much better than the last.

    Returns:
        A sheet of slices: scan, result, truth.
    """
    grey, labels = _display_grey(files.scan), files.target.labels
    truth = render_cryosection(files.target)
    rgb = read_slices(output, 0, range(len(grey)))[..., :3]
    body = (labels != Tissue.AIR) & (labels != Tissue.CAVITY)
    truth_lab = _lab(truth)
    hindsight = GreyTransfer()
    hindsight.fit(grey[body], truth_lab[body])
    tissues = _tissue_means(files.reference)

    def by_grey(colorize: Colorizer) -> Callable[[int], Lab]:
        return lambda z: colorize(grey[z])

    baselines = _baselines(files.reference, grey[body])
    methods = {name: by_grey(colorize) for name, colorize in baselines.items()}
    methods |= {
        "best transfer function*": by_grey(hindsight),
        "tissues known, other's colours*": lambda z: tissues[labels[z]],
        "medcolor": lambda z: srgb_to_lab(rgb[z].astype(np.float32) / 255),
        "truth": lambda z: truth_lab[z],
    }
    for method, colored in methods.items():
        following = None
        for z in range(len(grey) - 1, -1, -1):
            lab = colored(z)
            figures = measure(lab, truth_lab[z], body[z], grey[z], following)
            report.add(case.name, method, z, figures)
            following = lab, body[z], grey[z]
    return _sheet(grey, rgb, truth, body)


def _baselines(reference: Phantom, greys: Float[np.ndarray, " sample"]) -> dict[str, Colorizer]:
    """Return what colours by statistics of the other person's photographs."""
    lab = _lab(render_cryosection(reference))
    body = (reference.labels != Tissue.AIR) & (reference.labels != Tissue.CAVITY)
    colors, look_up = lab[body], GreyTransfer()
    # A reference photograph knows its own grey: its luminance is all a look-up can use.
    look_up.fit(colors[:, 0] / 100, colors)
    shown = [(lab[z], body[z]) for z in range(0, len(lab), _WELSH_EVERY) if body[z].any()]
    return by_statistics(shown, colors, greys, {"look-up by grey level": look_up})


def _tissue_means(reference: Phantom) -> Float[np.ndarray, "tissue 3"]:
    """Return the mean colour of every tissue in a person's photographs; zero where it has none."""
    lab, labels = _lab(render_cryosection(reference)).reshape(-1, 3), reference.labels.ravel()
    size = max(int(tissue) for tissue in Tissue) + 1
    count = np.bincount(labels, minlength=size)
    sums = [np.bincount(labels, weights=channel, minlength=size) for channel in lab.T]
    return (np.stack(sums, -1) / np.maximum(count, 1)[:, None]).astype(np.float32)


def _display_grey(scan: Path) -> Grey:
    """Return the scan between its 1st and 99.8th percentile, 0..1, (z, y, x) as written."""
    values = np.asarray(nib.nifti1.load(scan).dataobj, np.float32).transpose(2, 1, 0)
    low, high = np.percentile(values, [1, 99.8])
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


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
