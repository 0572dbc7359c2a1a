"""The networks medcolor knows by name, and where they lie on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcolor.cache import cache_folder
from medcolor.errors import InputError
from medcolor.features.store import EMBEDDED_PATH

EMBEDDED = "embedded"


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """A network that others trained, and where its file comes from."""

    name: str
    url: str
    member: str | None = None
    """Name of the file inside the archive that `url` is, or None where it is the file itself."""

    megabytes: int
    """Size of the download, roughly."""

    sha256: str
    """SHA-256 of the download or how it begins; empty where nobody published one."""

    licence: str
    about: str


REGISTRY = {
    entry.name: entry
    for entry in (
        PublishedWeights(
            name="vgg19-gray",
            url="https://github.com/zhangmozhe/Deep-Exemplar-based-Video-Colorization"
            "/releases/download/v1.0/colorization_checkpoint.zip",
            member="vgg19_gray.pth",
            megabytes=1100,
            sha256="",
            licence="MIT",
            about="gray-VGG19 on CIE lightness, He et al. 2018, as published by Zhang et al. 2019",
        ),
        PublishedWeights(
            name="vgg19",
            url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
            megabytes=548,
            # torchvision's file names carry the first eight digits.
            sha256="dcbb9e9d",
            licence="BSD-3-Clause",
            about="VGG-19 on ImageNet, Simonyan and Zisserman 2014, as published by torchvision",
        ),
    )
}


def weights_folder() -> Path:
    """Return the folder of the cache that networks lie in."""
    return cache_folder() / "weights"


def stored_path(name: str) -> Path:
    """Return where the network of this name lies once it is here."""
    return EMBEDDED_PATH if name == EMBEDDED else weights_folder() / f"{name}.safetensors"


def find_network(name: str) -> Path:
    """Return the file of a network given by name or path.

    Raises:
        InputError: A known name whose file is not here yet.
    """
    if name != EMBEDDED and name not in REGISTRY:
        return Path(name)
    path = stored_path(name)
    if not path.exists():
        raise InputError(
            f"network {name}",
            f"not on this machine ({path} is absent)",
            f"Run: medcolor weights pull {name}; or: medcolor weights import FILE",
        )
    return path
