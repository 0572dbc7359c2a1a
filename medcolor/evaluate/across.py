"""Phantom scans of one person coloured from another's cryosections, through the whole product.

The truth is the first person's own cryosection, which the product never sees.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medcolor.api import colorize_volume
from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.evaluate.judge import LEGENDS, Judgement, judge, tables_of
from medcolor.evaluate.metrics import ColorReport
from medcolor.evaluate.volume_metrics import write_figures
from medcolor.phantom import Phantom, Region, make_phantom
from medcolor.phantom.files import Modality, Scanner, write_photographs, write_scan
from medcolor.progress import ProgressReport
from medcolor.volume.images import write_png


@dataclass(frozen=True)
class Case:
    """One scan to colour."""

    region: Region
    modality: Modality
    spacing_mm: float
    target_seed: int = 1
    reference_seed: int = 2
    scanner: Scanner = "plain"

    @property
    def scan(self) -> str:
        """Region and modality."""
        return f"{self.region}-{self.modality}"

    @property
    def name(self) -> str:
        """The same, and the scanner unless it is the plain one."""
        return self.scan if self.scanner == "plain" else f"{self.scan}-{self.scanner}"


CASES = (
    Case("head", "ct", 2.0),
    Case("head", "t1", 2.0),
    Case("head", "t2", 2.0),
    Case("trunk", "ct", 3.0),
)
"""What `medcolor evaluate color` measures without photographs, by either scanner."""


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
        write_scan(target, case.modality, folder, case.scanner),
        write_photographs(reference, folder / "photographs"),
        target,
        reference,
    )


def choose_cases(names: Sequence[str], scanner: Scanner = "clinical") -> list[Case]:
    """Return the cases of these names by a scanner, all if none is named.

    Raises:
        InputError: There is no such case.
    """
    known = {case.scan: replace(case, scanner=scanner) for case in CASES}
    for name in names:
        if name not in known:
            raise InputError(f"--case {name}", "no such case", f"Give one of {', '.join(known)}")
    return [known[name] for name in names or known]


def evaluate_across(
    cases: Sequence[Case],
    settings: RunSettings,
    progress: ProgressReport,
    *,
    pictures: Path | None = None,
) -> str:
    """Colour every case and return the tables of its figures.

    Args:
        cases: What to colour.
        settings: Of the product.
        progress: Told how far it is.
        pictures: Folder for scan, result and truth side by side and the figures of every
            slice and every case, or None.
    """
    report, tables, whole = ColorReport(), [], []
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = write_case(case, folder)
            output = folder / "color.ome.zarr"
            colorize_volume(
                files.scan, files.photographs, output, settings=settings, progress=progress
            )
            judgement = judge_case(case, files, output, report)
        title = f"{case.name}, person {case.target_seed} from person {case.reference_seed}"
        tables.append(f"{title}\n{tables_of(case.name, report, judgement)}")
        whole += [{"case": case.name, "method": m, **row} for m, row in judgement.whole.items()]
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            write_png(pictures / f"{case.name}.png", judgement.sheet)
    if pictures is not None:
        report.write(pictures / "color.parquet")
        write_figures(pictures / "volumes.parquet", whole)
    return "\n\n".join([*tables, LEGENDS])


def judge_case(case: Case, files: CaseFiles, output: Path, report: ColorReport) -> Judgement:
    """Compare the coloured volume of a case with its truth."""
    persons = files.target, files.reference
    return judge(case.name, files.scan, case.modality, persons, output, report)
