"""Settings of reading and storing volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.domain import check_orientation
from medcolor.settings import Settings
from medcolor.volume.units import millimetres

WindowName = Literal["brain", "soft-tissue", "soft tissue", "bone", "lung"]


@dataclass(frozen=True, kw_only=True)
class VolumeSettings(Settings):
    """How the scan is read and shown."""

    spacing_mm: tuple[float, float, float] | None = None
    """Distance between voxels along (z, y, x), for image stacks, which do not say."""

    length_unit: str | None = None
    """Unit of lengths in the header of a NIfTI, NRRD, MGH, OME-Zarr or TIFF file, instead of the
    one that it names: mm, um, m or another. Unset: the header's; millimetres where it names
    none."""

    orientation: str = "LPS"
    """Where columns, rows and slices of an image stack run to: three of L/R, P/A, S/I.
    LPS is the radiological view with the last slice nearest the head. NIfTI, DICOM and OME-Zarr
    whose axes carry an anatomical orientation say it themselves."""

    series: int | str | None = None
    """Which series of a DICOM folder or archive, or image of a TIFF file or an OME-Zarr folder
    with several: its number in the list that an error shows; of DICOM also its
    SeriesInstanceUID. Slices of one series that differ in size or direction are listed apart.
    Unset: localizers and single images are left out."""

    time_point: int | None = None
    """Which volume of a file, or of a DICOM series, with several (times, or whatever else a file
    lists), counted from 0."""

    level: int = 0
    """Which resolution of an OME-Zarr pyramid; 0 is the finest."""

    channel: int | None = None
    """Which channel, or component of vectors and colours, of a file with several, counted from 0;
    of a DICOM series: which echo, b-value, component (magnitude, phase) or other kind of image, by
    its number in the list that an error shows."""

    kind: Literal["auto", "ct", "mr", "other"] = "auto"
    """What was scanned with. ct: values are Hounsfield units. mr, other: they are in a unit of the
    scanner's own, and so is CT whose values are not rescaled. auto: what the header says (DICOM
    does), else whether the values are distributed as Hounsfield units of a body are."""

    padding: float | Literal["auto", "none"] = "auto"
    """Stored value that stands where nothing was scanned, beside the one that a header names.
    auto: one far below all others at the border, or at all corners of CT, is found. none: every
    value was scanned."""

    uneven: Literal["refuse", "resample"] = "refuse"
    """What to do about gaps, doubled slices, mixed spacing and a tilted gantry: refuse, or
    resample to an even grid."""

    window: tuple[float, float] | WindowName | None = None
    """Stored values (HU for CT) shown as black and white, or a radiologist's preset for CT in
    Hounsfield units: brain (centre 40, width 80), soft-tissue (40, 400), bone (500, 2000),
    lung (-600, 1500). Unset: -350..650 HU for CT in Hounsfield units, else from the level of
    air to a high percentile of tissue."""

    center_width: tuple[float, float] | None = None
    """The window as centre and width, instead of `window`."""

    white_percentile: float = 99.8
    """Percentile of the tissue values shown as white where `window` is unset."""

    body_threshold: float | None = None
    """Luminance (0..1, after the window) above which a pixel is body and not air. Unset:
    -500 HU for CT in Hounsfield units, else a share of Otsu's threshold between air and
    tissue."""

    body: Literal["auto", "everything"] = "auto"
    """What of the scan is body: auto finds the air around it; everything for crops from inside a
    body in which dark organs are taken for air."""

    nonfinite_value: float | Literal["outside"] | None = None
    """Stored value to take for NaN and infinity; outside: nothing was scanned there. Unset: they
    are an error."""

    sampled_slices: int = 48
    """Slices, evenly spread, from which window, threshold and tone curve are found."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.spacing_mm is not None and min(self.spacing_mm) <= 0:
            raise ValueError("spacing_mm must be > 0")
        check_orientation(self.orientation)
        if self.length_unit is not None and millimetres(self.length_unit) is None:
            raise ValueError("length_unit must be a unit of length, e.g. mm, um, m")
        if isinstance(self.window, tuple) and self.window[0] >= self.window[1]:
            raise ValueError("window must be (black, white) with black < white")
        if self.center_width is not None and self.center_width[1] <= 0:
            raise ValueError("center_width must be (centre, width) with width > 0")
        if self.center_width is not None and self.window is not None:
            raise ValueError("give window or center_width, not both")
        if min(self.level, self.time_point or 0, self.channel or 0) < 0:
            raise ValueError("level, time_point and channel are counted from 0")
        if not 50 < self.white_percentile <= 100:
            raise ValueError("white_percentile must lie in 50..100")
        if self.sampled_slices < 1:
            raise ValueError("sampled_slices must be at least 1")


@dataclass(frozen=True, kw_only=True)
class StoreSettings(Settings):
    """Layout of the OME-Zarr volume."""

    slab_slices: int = 32
    """Slices of one slab: one task, one shard, one writer. Bounds memory and what a
    crash loses. A multiple of chunk[0]."""

    chunk: tuple[int, int, int] = (32, 64, 64)
    """Voxels of one compressed chunk along (z, y, x)."""

    compression_level: int = 5
    """Zstandard level, 1 (fast) .. 19 (small)."""

    smallest_side: int = 128
    """Levels are added until no side is longer than this."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if min(self.chunk) < 1 or self.slab_slices < 1 or self.slab_slices % self.chunk[0]:
            raise ValueError("slab_slices must be a multiple of chunk[0]")
        if not 1 <= self.compression_level <= 19 or self.smallest_side < 1:
            raise ValueError("compression_level must lie in 1..19, smallest_side be >= 1")
