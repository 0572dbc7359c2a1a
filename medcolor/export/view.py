"""A coloured volume shown by viewers of the web, while it stays on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from medcolor.errors import InputError
from medcolor.export.links import neuroglancer_link, niivue_link
from medcolor.export.serving import FileServer
from medcolor.export.write import export
from medcolor.progress import ProgressReport
from medcolor.storage import Place
from medcolor.volume.store import read_levels

_STORE, _NIFTI = "volume.ome.zarr", "volume.nii"
"""Names in addresses: those of the files may name a person."""

_LONGEST_SIDE = 256
"""Of the level that NiiVue is given, which holds all of it on the graphics card."""


@dataclass(frozen=True)
class View:
    """A volume that is ready to be looked at; `server.serve_forever` serves it."""

    server: FileServer
    store: str
    """Address of the OME-Zarr."""

    nifti: str
    """Address of a NIfTI file of it, RGBA."""

    neuroglancer: str
    niivue: str


@contextmanager
def viewing(volume: Place, progress: ProgressReport, port: int = 0) -> Iterator[View]:
    """Make a volume ready to be looked at; what was made for it is gone at the end.

    Args:
        volume: Written by `medcolor colorize`, on this machine.
        progress: Told the slices of what is written for NiiVue.
        port: To listen at; 0 takes one that is free.

    Raises:
        InputError: No coloured volume, one in a bucket, or a port that is taken.
    """
    if not isinstance(volume, Path):
        raise InputError(
            volume, "is not on this machine", "Give a local volume, or the bucket's own address"
        )
    levels = read_levels(volume)
    fit = [level for level in levels if max(level.shape) <= _LONGEST_SIDE]
    with TemporaryDirectory(prefix="medcolor-view-") as folder:
        nifti = Path(folder) / _NIFTI
        with FileServer({_STORE: volume.resolve(), _NIFTI: nifti}, port) as server:
            export(volume, nifti, progress, level=(fit or levels[-1:])[0].index)
            store, file = server.address_of(_STORE), server.address_of(_NIFTI)
            yield View(server, store, file, neuroglancer_link(store, levels[0]), niivue_link(file))
