"""The page's second tab: a volume turned freely by NiiVue (BSD-2-Clause), which the page holds.

Code and volume are packed text in the page, unpacked when the tab is opened (`free.js`).
`niivue/ORIGIN.txt` states where the code comes from and how to take another version.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from medcolor.render.free_volume import FreeVolume
from medcolor.render.page_source import inert_json, script_source, source
from medcolor.render.scene import SceneSettings

_CODE, _LICENCE = "niivue/niivue.umd.js", "niivue/LICENSE.txt"
_CREDIT = "3-D view: NiiVue 0.69.0, copyright 2021 Niivue, BSD 2-Clause License"

_PAGE_BYTES = 6_000_000
"""Of a page with this tab, where its pictures leave room."""

_MOST_TEXT_BYTES, _LEAST_TEXT_BYTES = 3_000_000, 1_000_000
"""Of the volume as text."""

_SOURCES_BYTES = 50_000
"""Of the tab's own sources and the licences, at most."""


@dataclass(frozen=True)
class FreeView:
    """What the tab shows."""

    volume: FreeVolume

    scene: SceneSettings
    """Light, background, and the side from which the tab shows the body first."""


@dataclass(frozen=True)
class FreeParts:
    """What a page holds for the tab; nothing if it has none."""

    texts: Mapping[str, str]
    """HTML by its name in `page.html`."""

    style: str = ""
    policy: tuple[str, ...] = ()
    """Scripts that may run."""

    credits: tuple[str, ...] = ()
    licence: str = ""
    """HTML."""


def free_parts(view: FreeView | None) -> FreeParts:
    """Return the parts of a page that has this tab."""
    if view is None:
        return FreeParts({"tabs": "", "free": ""})
    script = f"\n{source('free.js')}\n"
    data = f'<script type="application/json" id="free-view">{_data(view)}</script>'
    panel = source("free.html")
    licence = escape(source(_LICENCE))
    return FreeParts(
        {
            "tabs": source("tabs.html"),
            "free": f'{panel}\n{data}\n<script type="module">{script}</script>',
        },
        source("free.css"),
        (script_source(script), script_source(source(_CODE))),
        (_CREDIT,),
        f"<details><summary>Licences</summary>\n<pre>{licence}</pre></details>",
    )


def most_packed_bytes(page_bytes: int) -> int:
    """Return how large a packed volume may be.

    Args:
        page_bytes: Of the page without this tab.
    """
    room = _PAGE_BYTES - page_bytes - len(_text(_packed_code())) - _SOURCES_BYTES
    return 3 * max(_LEAST_TEXT_BYTES, min(_MOST_TEXT_BYTES, room)) // 4


def _data(view: FreeView) -> str:
    volume, scene = view.volume, view.scene
    is_upright = scene.axis == "longitudinal"
    return inert_json(
        {
            "code": _text(_packed_code()),
            "nifti": _text(volume.nifti),
            "shown": volume.shown,
            "others": {name: _text(packed) for name, packed in volume.others.items()},
            "shape": volume.shape,
            "spacing_mm": volume.spacing_mm,
            "first_mm": volume.first_mm,
            "angle_deg": scene.start_deg if is_upright else 0.0,
            "tilt_deg": scene.tilt_deg if is_upright else 0.0,
            "background": scene.background,
            "light": None if scene.light == "flat" else _light(scene),
        }
    )


def _light(scene: SceneSettings) -> dict[str, object]:
    return {
        "direction_deg": scene.light_deg,
        "ambient": scene.ambient,
        "diffuse": scene.diffuse,
        "specular": scene.specular,
        "specularPower": scene.specular_power,
    }


def _packed_code() -> bytes:
    return gzip.compress(source(_CODE).encode(), mtime=0)


def _text(content: bytes) -> str:
    return b64encode(content).decode()
