"""Dense correspondence between a scan and a photograph."""

from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import Correspondence, NearestNeighborField, take
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.tone import read_curve, tone_curve
from medcolor.matching.vote import vote

__all__ = [
    "Correspondence",
    "MatchingSettings",
    "NearestNeighborField",
    "match_coarse_to_fine",
    "read_curve",
    "take",
    "tone_curve",
    "vote",
]
