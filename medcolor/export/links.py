"""Addresses that open a served volume in a viewer of the web, in the browser of this machine.

Nothing is asked of the viewers' sites before a user follows one. Names of files and folders, which
may name a person, are in none of them.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from medcolor.volume.levels import Level

NEUROGLANCER = "https://neuroglancer-demo.appspot.com/"
NIIVUE = "https://niivue.github.io/niivue-vscode/"

_SHADER = """#uicontrol float opacity slider(min=0, max=1, default=1)
void main() {
  float alpha = toNormalized(getDataValue(3));
  emitRGBA(vec4(toNormalized(getDataValue(0)), toNormalized(getDataValue(1)),
                toNormalized(getDataValue(2)), VOLUME_RENDERING ? opacity * alpha : opacity));
}
"""
"""Sections show colours whatever alpha says; in three dimensions alpha is opacity."""

_UPRIGHT = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]
"""A quarter turn about x, which brings the head up in all that shows it, and the face to the front:
Neuroglancer's second axis runs downward, and its third away."""

_PANEL_PX = 320
"""Across the volume in a section."""


def neuroglancer_link(store: str, finest: Level, viewer: str = NEUROGLANCER) -> str:
    """Return a link that shows an OME-Zarr: sections and, drawn through, the volume.

    Args:
        store: Its address.
        finest: Level 0 of it.
        viewer: Where Neuroglancer is. What follows the # is not sent there.
    """
    meters = {name: [side / 1000, "m"] for name, side in zip("zyx", finest.spacing_mm, strict=True)}
    source = {
        "url": f"zarr://{store}/",
        # A channel of the shader, as the circumflex says, and no axis to be walked along.
        "transform": {"outputDimensions": {"c^": [1, ""], **meters}},
    }
    z, y, x = finest.shape
    extent_mm = [n * side for n, side in zip(finest.shape, finest.spacing_mm, strict=True)]
    state: dict[str, Any] = {
        "dimensions": {name: meters[name] for name in "xyz"},
        "position": [x / 2, y / 2, z / 2],
        "crossSectionOrientation": _UPRIGHT,
        "projectionOrientation": _UPRIGHT,
        "crossSectionScale": max(extent_mm) / min(finest.spacing_mm) / _PANEL_PX,
        "showSlices": False,
        "layers": [
            {
                "type": "image",
                "name": "medcolor",
                "source": source,
                "shader": _SHADER,
                "opacity": 1,
                "volumeRendering": "on",
                "volumeRenderingGain": 3,
            }
        ],
        "layout": "4panel",
    }
    return f"{viewer}#!{quote(json.dumps(state, separators=(',', ':')), safe='')}"


def niivue_link(nifti: str, viewer: str = NIIVUE) -> str:
    """Return a link that shows a NIfTI file; it tells the viewer's site the file's address."""
    return f"{viewer}?images={quote(nifti, safe='')}"
