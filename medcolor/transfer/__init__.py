"""From votes to colours: agreement of references, equation 1, opacity."""

from medcolor.transfer.agreement import Vote, blend_votes
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.opacity import OpacitySettings, opacity
from medcolor.transfer.settings import TransferSettings

__all__ = [
    "OpacitySettings",
    "TransferSettings",
    "Vote",
    "blend_votes",
    "equation_1",
    "opacity",
]
