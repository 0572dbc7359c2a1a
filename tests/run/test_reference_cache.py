from pathlib import Path

import torch

from medcolor.colorize import PreparedReference
from medcolor.features.extract import FeaturePyramid
from medcolor.reference.library import ReferenceRecord
from medcolor.run.reference_cache import ReferenceCache


class Studio:
    """Prepares references of a little more than one MiB and remembers which."""

    def __init__(self):
        self.made = []

    def __call__(self, record):
        reference_id = record.reference_id
        self.made.append(reference_id)
        level, whole = torch.zeros(1, 64, 64, 64), torch.zeros(1, 64, 64)
        extent = torch.tensor([[64, 64]])
        pyramid = FeaturePyramid((level,), (whole,), (whole > 0,), extent, whole, whole > 0)
        return PreparedReference(reference_id, torch.zeros(1, 3, 64, 64), pyramid)


def test_what_is_used_again_is_made_once_and_what_was_used_longest_ago_goes_first():
    studio = Studio()
    cache = ReferenceCache(studio, budget_mb=3)  # room for two
    for wanted in ("a", "b", "a", "c", "a", "b"):
        assert cache(ReferenceRecord(wanted, Path("path"), None)).reference_id == wanted
    assert studio.made == ["a", "b", "c", "b"]


def test_the_one_in_use_is_kept_whatever_it_takes():
    studio = Studio()
    cache = ReferenceCache(studio, budget_mb=0)
    for wanted in ("a", "a", "b", "b"):
        cache(ReferenceRecord(wanted, Path("path"), None))
    assert studio.made == ["a", "b"]
