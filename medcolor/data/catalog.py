"""The Visible Human as the U.S. National Library of Medicine serves it: directories and names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from medcolor.errors import InputError

ROOT = "https://data.lhncbc.nlm.nih.gov/public/Visible-Human/"
TERMS = "https://www.nlm.nih.gov/databases/download/terms_and_conditions.html"
CREDIT = "Courtesy of the U.S. National Library of Medicine"

Kind = Literal["image", "raw", "genesis", "text"]


@dataclass(frozen=True)
class Collection:
    """Files of one kind in one or several directories."""

    folder: str
    """Where they go, below the user's folder."""

    directory: str
    """Below the dataset's; `{region}` where each region has one of its own."""

    pattern: str
    """Regular expression of their names; group 1 is the number of the section."""

    kind: Kind


@dataclass(frozen=True)
class Dataset:
    """One body."""

    name: str
    directory: str
    regions: dict[str, tuple[int, int]]
    """First and last number of the sections; they overlap."""

    modalities: dict[str, tuple[Collection, ...]]


def root_url() -> str:
    """Return the address of the site, or of the mirror that MEDCOLOR_DATA_URL names."""
    return os.environ.get("MEDCOLOR_DATA_URL", ROOT).rstrip("/") + "/"


def find_dataset(name: str) -> Dataset:
    """Return a dataset by its name.

    Raises:
        InputError: There is none.
    """
    if name not in DATASETS:
        raise InputError(f"data {name}", "no such dataset", f"Give {' or '.join(DATASETS)}")
    return DATASETS[name]


def describe_catalog() -> str:
    """Return what there is, terms included, as text."""
    lines = []
    for dataset in DATASETS.values():
        lines.append(dataset.name)
        lines.append("  modalities  " + ", ".join(dataset.modalities))
        regions = (f"{name} {a}-{b}" for name, (a, b) in dataset.regions.items())
        lines.append("  regions     " + ", ".join(regions))
    lines += ["", f"{CREDIT}. Terms: {TERMS}", f"From {root_url()}"]
    return "\n".join(lines)


def _radiology(
    prefix: str, kinds: dict[str, tuple[str, str, str]]
) -> dict[str, tuple[Collection, ...]]:
    """Return CT collections: images, and the text headers that say where they lie."""
    made: dict[str, tuple[Collection, ...]] = {}
    for modality, (directory, suffix, header) in kinds.items():
        base = f"radiological/{directory}"
        made[modality] = (
            Collection(modality, f"{base}/", rf"{prefix}(\d+)\.{suffix}(?:\.Z)?", "genesis"),
            Collection(f"{modality}Headers", f"{base}Headers/", header, "text"),
        )
    return made


_MRI = (
    Collection("mri", "radiological/mri/", r".*?(\d+)[a-z]?\.(?:t1|t2|pd)(?:\.Z)?", "genesis"),
    Collection("mriHeaders", "radiological/mriHeaders/", r".*?(\d+).*\.txt", "text"),
)

DATASETS = {
    "visible-human-male": Dataset(
        "visible-human-male",
        "Male-Images/",
        {
            "head": (1001, 1377),
            "thorax": (1280, 1688),
            "abdomen": (1455, 1997),
            "pelvis": (1732, 2028),
            "thighs": (1732, 2411),
            "legs": (2265, 2878),
        },
        {
            "cryosection": (
                Collection("cryosection", "PNG_format/{region}/", r"a_vm(\d+)\.png", "image"),
            ),
            "cryosection-raw": (
                Collection("cryosection", "Fullcolor/fullbody/", r"a_vm(\d+)\.raw\.Z", "raw"),
            ),
            **_radiology(
                "c_vm",
                {
                    "ct": ("frozenCT", "fro", r"c_vm(\d+)\.fro\.txt"),
                    "ct-fresh": ("normalCT", "fre", r"c_vm(\d+)\.fre\.txt"),
                },
            ),
            "mri": _MRI,
        },
    ),
    "visible-human-female": Dataset(
        "visible-human-female",
        "Female-Images/",
        {
            "head": (1001, 1285),
            "thorax": (1262, 1488),
            "abdomen": (1432, 1909),
            "pelvis": (1703, 1953),
            "thighs": (1703, 2300),
            "legs": (2200, 2730),
        },
        {
            "cryosection": (
                Collection("cryosection", "PNG_format/{region}/", r"avf(\d+)[abc]?\.png", "image"),
            ),
            "cryosection-raw": (
                Collection("cryosection", "Fullcolor/fullbody/", r"avf(\d+)[abc]\.raw\.Z", "raw"),
            ),
            **_radiology("c_vf", {"ct": ("normalCT", "fre", r"c_vf(\d+)(?:\.fre)?\.txt")}),
            "mri": _MRI,
        },
    ),
}
