"""From votes to colours: agreement of references, coherence along z, equation 1, opacity."""

from medcolor.transfer.agreement import Vote, blend_votes
from medcolor.transfer.coherence import CoherenceSettings, smooth_along_stack
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.opacity import OpacitySettings, opacity
from medcolor.transfer.settings import TransferSettings

__all__ = [
    "CoherenceSettings",
    "OpacitySettings",
    "TransferSettings",
    "Vote",
    "blend_votes",
    "equation_1",
    "opacity",
    "smooth_along_stack",
]
