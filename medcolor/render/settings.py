"""Settings of picture sets: how many, how large, from which level."""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RenderSettings(Settings):
    """Size and number of the pictures."""

    frames: int = 36
    """Frames of the camera's path."""

    size_px: int = 512
    """Side of the square frames; even, as video wants it."""

    frames_per_second: int = 12
    """Of the video."""

    stills: int = 4
    """Views of the path that are drawn in cinematic light, too: for the figure, the thumbnail, and
    by themselves. Each takes about 2.5 times as long as a frame."""

    grey: bool = True
    """Whether the grey scan is drawn from the same cameras, to compare: twice the time. It
    needs a volume whose alpha is the scan's luminance."""

    sections: int = 48
    """Sections of each plane on the page, evenly spread."""

    free_view: bool = True
    """Whether the page has a second tab in which a coarse level is turned freely: opacity by
    tissue, a plane that cuts. It adds 2 to 4 MB, the viewer (NiiVue) included, and never more than
    keeps a page of the default size below 6 MB."""

    credits: tuple[str, ...] = ()
    """Lines of credit on the page, as for the photographs that the colours come from."""

    longest_side: int = 320
    """The finest pyramid level with no side longer than this is drawn: bounds time."""

    memory_mb: int = 2048
    """Memory that a process which draws, and does nothing else, may take; a coarser level is
    drawn where the finest would take more."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.frames < 1 or self.frames_per_second < 1:
            raise ValueError("frames and frames_per_second must be at least 1")
        if self.stills < 0:
            raise ValueError("stills must be >= 0")
        if not 32 <= self.size_px <= 8192 or self.size_px % 2:
            raise ValueError("size_px must be even and lie in 32..8192")
        if min(self.longest_side, self.memory_mb, self.sections) < 1:
            raise ValueError("longest_side, memory_mb and sections must be at least 1")
