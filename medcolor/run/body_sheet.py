"""What was taken for body, to look at: slices of the scan with its outline."""

from __future__ import annotations

import io

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from medcolor.domain import TargetSlice
from medcolor.reference.sheet import Tile, draw_sheet, fit, spread_evenly
from medcolor.run.ledger import BODY
from medcolor.run.plan import Plan
from medcolor.storage import write_atomic

_SLICES, _TILE_PX = 8, 180
_OUTLINE = 70, 225, 160


def write_body_sheet(plan: Plan) -> None:
    """Draw slices spread over the scan into `body.webp`, unless they lie there."""
    path = plan.ledger.folder / BODY
    if path.is_file():
        return
    read = plan.open_target()
    numbers, _ = spread_evenly(read.shape[0], _SLICES)
    tiles = [Tile(_outlined(read(z)), (f"slice {z}",)) for z in numbers]
    sheet = draw_sheet(f"{len(tiles)} of {read.shape[0]} slices", tiles, len(tiles), _TILE_PX)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "WEBP", quality=80)
    write_atomic(path, file.getvalue())


def _outlined(target: TargetSlice) -> UInt8[np.ndarray, "_row _col 3"]:
    """Return a slice on square pixels, as shown, with the outline of its body."""
    outline = target.body if target.outline is None else target.outline
    shape = outline.shape
    gray = cv2.resize(target.luminance, shape[::-1], interpolation=cv2.INTER_AREA)
    shown = fit(np.repeat(np.rint(255 * gray).astype(np.uint8)[..., None], 3, axis=2), _TILE_PX)
    size = shown.shape[1], shown.shape[0]
    body = cv2.resize(outline.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    rim = body - cv2.erode(body, np.ones((3, 3), np.uint8), borderValue=0)
    shown[rim > 0] = _OUTLINE
    return shown
