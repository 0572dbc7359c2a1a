"""Settings of the pictures."""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RenderSettings(Settings):
    """Camera, light and opacity of the pictures."""

    frames: int = 36
    """Frames of a full turn about the long axis of the body."""

    size_px: int = 512
    """Side of the square frames; even, as video wants it."""

    frames_per_second: int = 12
    """Of the video."""

    tilt_deg: float = 10.0
    """How far the camera looks down on the body, -80..80."""

    start_deg: float = 0.0
    """Angle of the first frame: 0 looks at the face, 90 at the patient's left side."""

    background: tuple[int, int, int] = (16, 17, 20)
    """sRGB, 0..255, around the body."""

    opacity_low: float = 0.12
    """Alpha (0..1, the scan's luminance) up to which a voxel is invisible."""

    opacity_high: float = 0.5
    """Alpha from which a voxel is as opaque as opacity_per_mm says."""

    opacity_per_mm: float = 0.5
    """Share of light that one millimetre of tissue at opacity_high holds back, 0..1."""

    alpha_blur_voxels: float = 0.8
    """Gaussian blur of alpha before drawing (standard deviation): shading follows its
    gradient and would show rings of voxels without it."""

    shade: bool = True
    """Light from the camera, with soft highlights. Off shows colours as they are."""

    samples_per_voxel: float = 2.0
    """Samples of a ray along the shortest side of a voxel."""

    longest_side: int = 320
    """The finest pyramid level with no side longer than this is drawn: bounds memory and
    time."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.frames < 1 or self.frames_per_second < 1:
            raise ValueError("frames and frames_per_second must be at least 1")
        if self.size_px < 32 or self.size_px % 2:
            raise ValueError("size_px must be even and at least 32")
        if not -80 <= self.tilt_deg <= 80:
            raise ValueError("tilt_deg must lie in -80..80")
        if not 0 <= self.opacity_low < self.opacity_high <= 1:
            raise ValueError("opacity_low < opacity_high must lie in 0..1")
        if not 0 < self.opacity_per_mm < 1:
            raise ValueError("opacity_per_mm must lie between 0 and 1")
        if self.samples_per_voxel <= 0 or self.alpha_blur_voxels < 0 or self.longest_side < 1:
            raise ValueError("samples_per_voxel and longest_side must be > 0, the blur >= 0")
