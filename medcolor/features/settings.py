"""Settings of the network and of what it sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FeatureSettings(Settings):
    """What the network sees."""

    network: str = "embedded"
    """`embedded`, another name of `medcolor weights list`, or the path of a network file
    written by jobs/train_features.py."""

    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """Arithmetic of the network. auto: tf32 on a GPU (features differ from fp32 by 0.4 %), else
    fp32; decided once a run and the same for all its workers. bf16, where the processor
    multiplies it in hardware, changes the features of even images by up to 37 % (LOG.md)."""

    rectified: bool = True
    """Whether features are compared after their ReLU, as in the code of Deep Image Analogy, or
    before it, as in its PyTorch port."""

    working_size_px: int = 256
    """Long side of the body crop that is matched; 16 or more. Larger finds finer
    detail and costs time in proportion to its square."""

    equalization: float = 0.5
    """How far the scan's grey levels are spread toward equal use inside the body before
    matching, 0 (as displayed) .. 1 (fully). Helps CT, whose soft tissue shares few levels."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.working_size_px < 16:
            raise ValueError("working_size_px must be at least 16, one cell of relu5_1")
        if not 0 <= self.equalization <= 1:
            raise ValueError("equalization must lie in 0..1")
