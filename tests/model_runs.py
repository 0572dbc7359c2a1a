"""Small volumes in every look, and what tests of their colour models do to runs."""

from __future__ import annotations

import shutil

from conftest import ORIENTATION

import medcolor
from medcolor.config import load_settings
from medcolor.run import workers
from medcolor.run.ledger import Ledger
from medcolor.run.votes_files import write_votes

SETS = (
    *("features.working_size_px=48", "store.slab_slices=2", "store.chunk=[2,16,16]"),
    *("compute.threads=1", f"reference.orientation={ORIENTATION}"),
)
SLABS = 4
LOOKS = {
    "photograph": ("transfer.look=photograph",),
    "scan": ("transfer.look=scan",),
    "paper": ("transfer.look=paper",),
    "as of a gray photograph": ("transfer.look=photograph", "model.photographic_below=100"),
}
"""In the last there is a model, and slices need their own votes all the same."""


def settings_of(look="photograph", *more):
    return load_settings(None, [*SETS, *LOOKS[look], *more])


SETTINGS = settings_of()
OTHER = settings_of("photograph", "transfer.vote_patch_px=9", "model.tolerance=3")
"""Other votes in files of the same sizes, other colours on the same lattice."""


def a_copy(made, tmp_path, look="photograph"):
    shutil.copytree(made / look, tmp_path / "copy")
    return tmp_path / "copy" / "v.ome.zarr"


def colorize(inputs, output, settings=SETTINGS, **options):
    return medcolor.colorize_volume(*inputs, output, settings=settings, **options)


def shard(volume, number):
    return volume / "0" / "c" / "0" / str(number) / "0" / "0"


def model_of(volume):
    return Ledger.folder_of(volume) / "model.npz"


def matched_slabs(monkeypatch):
    """Return a list that will hold the slabs that are matched from now on."""
    found, real = [], workers.MatchSlab.__call__

    def match(self, task):
        found.append(task.number)
        return real(self, task)

    monkeypatch.setattr(workers.MatchSlab, "__call__", match)
    return found


def poison_votes(monkeypatch, bad):
    """Let no votes of a slice be written."""

    def poisoned(folder, z, votes):
        if z == bad:
            raise ValueError("poison")
        return write_votes(folder, z, votes)

    monkeypatch.setattr(workers, "write_votes", poisoned)


def never(*_, **__):
    raise AssertionError("no worker of this kind is needed")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


class Cut(BaseException):
    """As if the process was killed."""
