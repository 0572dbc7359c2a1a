"""A coloured phantom against its truth, beside what others could do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.color import srgb_to_lab
from medcolor.evaluate.baselines import Colorizer, GreyTransfer, Lab, by_statistics
from medcolor.evaluate.local_structure import SOFT_HU
from medcolor.evaluate.metrics import LEGEND, ColorReport, measure
from medcolor.evaluate.organs import ORGANS, OUTSIDE, mean_colors, paint_organs
from medcolor.evaluate.volume_metrics import LEGEND as VOLUME_LEGEND
from medcolor.evaluate.volume_metrics import Figures, VolumeMeasure, figures_table
from medcolor.phantom import Phantom, Region, Tissue, render_cryosection
from medcolor.phantom.files import Modality
from medcolor.volume.store import read_slices

Grey = Float[np.ndarray, "z y x"]
Rgb = UInt8[np.ndarray, "z y x 3"]

_PICTURES = 6
_WELSH_EVERY = 5
_WHOLE_EVERY = 6
"""Of the slices, every so many are measured for the figures of the whole volume."""

LEGENDS = f"* knows the truth, or where which tissue is\n{LEGEND}\n{VOLUME_LEGEND}"

_TISSUES: dict[str, tuple[Tissue, ...]] = {
    "muscle": (Tissue.MUSCLE,),
    "fat": (Tissue.FAT,),
    "bone": (Tissue.CORTICAL_BONE, Tissue.SPONGY_BONE),
    "brain": (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY),
    "liver": (Tissue.LIVER,),
}
_NOT_IN: dict[Region, str] = {"head": "liver", "trunk": "brain"}
"""The cord in the trunk is no brain."""


@dataclass(frozen=True)
class Judgement:
    """What is known of a coloured phantom beside the figures of its slices."""

    sheet: UInt8[np.ndarray, "row col 3"]
    """Slices in columns: scan, result, truth."""

    whole: dict[str, Figures]
    """Figures of the volume as a whole, by method."""


def judge(
    name: str,
    scan: Path,
    modality: Modality,
    persons: tuple[Phantom, Phantom],
    output: Path,
    report: ColorReport,
) -> Judgement:
    """Compare a coloured volume with the truth, beside what others could do.

    Baselines: colours by statistics of the other person's photographs; the best transfer
    function with hindsight; for someone who knows where which organ is, one flat colour each; and
    the other person's mean colour of every tissue. No method that takes its colours from that
    person alone can be expected to be much better than the last.

    Args:
        name: Of the case, in the report.
        scan: That was coloured.
        modality: Of it.
        persons: Who was scanned, and who was photographed.
        output: Coloured volume.
        report: Told the figures of every slice.
    """
    target = persons[0]
    values = np.asarray(nib.nifti1.load(scan).dataobj, np.float32).transpose(2, 1, 0)
    grey, truth = _display_grey(values), render_cryosection(target)
    soft = values if modality == "ct" else SOFT_HU[0] + (SOFT_HU[1] - SOFT_HU[0]) * grey
    body, truth_lab = ~np.isin(target.labels, OUTSIDE), _lab(truth)
    rgb = read_slices(output, 0, range(len(grey)))[..., :3]
    methods = _methods(persons, grey, truth_lab, rgb)
    whole = {method: VolumeMeasure() for method in methods}
    for method, colored in methods.items():
        following = None
        for z in range(len(grey) - 1, -1, -1):
            lab = colored(z)
            figures = measure(lab, truth_lab[z], body[z], grey[z], following)
            report.add(name, method, z, figures)
            following = lab, body[z], grey[z]
            if z % _WHOLE_EVERY == 0 and body[z].any():
                tissues = dict(_tissues(target, z))
                whole[method].compare(lab, truth_lab[z], body[z], tissues)
                whole[method].relate(lab, soft[z], body[z])
    figures_of_all = {method: one.figures for method, one in whole.items()}
    return Judgement(_sheet(grey, rgb, truth, body), figures_of_all)


def tables_of(name: str, report: ColorReport, judgement: Judgement) -> str:
    """Return the figures of a case as text: means of slices, and of the volume as a whole."""
    return f"{report.table(name)}\n{figures_table(judgement.whole)}"


def _tissues(phantom: Phantom, z: int) -> Iterator[tuple[str, Bool[np.ndarray, "row col"]]]:
    for name, tissues in _TISSUES.items():
        if _NOT_IN.get(phantom.region) != name:
            yield name, np.isin(phantom.labels[z], tissues)


def _methods(
    persons: tuple[Phantom, Phantom], grey: Grey, truth: Float[np.ndarray, "z y x 3"], rgb: Rgb
) -> dict[str, Callable[[int], Lab]]:
    """Return what colours slice z, by name; the truth last."""
    target, reference = persons
    labels, photographs = target.labels, _lab(render_cryosection(reference))
    body = ~np.isin(labels, OUTSIDE)
    hindsight = GreyTransfer()
    hindsight.fit(grey[body], truth[body])
    tissues = mean_colors(photographs, reference.labels)
    organs = paint_organs(labels, mean_colors(photographs, reference.labels, ORGANS))

    def by_grey(colorize: Colorizer) -> Callable[[int], Lab]:
        return lambda z: colorize(grey[z])

    baselines = _baselines(photographs, reference.labels, grey[body])
    return {
        **{name: by_grey(colorize) for name, colorize in baselines.items()},
        "best transfer function*": by_grey(hindsight),
        "organs named, one colour each*": lambda z: organs[z],
        "tissues known, other's colours*": lambda z: tissues[labels[z]],
        "medcolor": lambda z: srgb_to_lab(rgb[z].astype(np.float32) / 255),
        "truth": lambda z: truth[z],
    }


def _baselines(
    lab: Float[np.ndarray, "z y x 3"],
    labels: UInt8[np.ndarray, "z y x"],
    greys: Float[np.ndarray, " sample"],
) -> dict[str, Colorizer]:
    """Return what colours by statistics of the other person's photographs."""
    body = ~np.isin(labels, OUTSIDE)
    colors, look_up = lab[body], GreyTransfer()
    # A reference photograph knows its own grey: its luminance is all a look-up can use.
    look_up.fit(colors[:, 0] / 100, colors)
    shown = [(lab[z], body[z]) for z in range(0, len(lab), _WELSH_EVERY) if body[z].any()]
    return by_statistics(shown, colors, greys, {"look-up by grey level": look_up})


def _display_grey(values: Grey) -> Grey:
    """Return a scan between its 1st and 99.8th percentile, 0..1."""
    low, high = np.percentile(values, [1, 99.8])
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


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
