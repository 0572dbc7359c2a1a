"""Everything below the neck, painted from the outside in and from soft to hard."""

from __future__ import annotations

from medcolor.phantom.anatomy.abdomen import (
    paint_abdominal_wall,
    paint_bladder,
    paint_kidneys,
    paint_liver,
    paint_spleen_and_pancreas,
)
from medcolor.phantom.anatomy.back import paint_back_muscles
from medcolor.phantom.anatomy.bowel import paint_bowel
from medcolor.phantom.anatomy.heart import paint_heart, paint_vessels
from medcolor.phantom.anatomy.limbs import paint_arm_bones, paint_arm_muscles
from medcolor.phantom.anatomy.lungs import paint_lungs
from medcolor.phantom.anatomy.outline import breast
from medcolor.phantom.anatomy.pelvis import (
    paint_hip_muscles,
    paint_pelvic_bones,
    paint_sacrum,
)
from medcolor.phantom.anatomy.ribs import paint_breastbone, paint_intercostals, paint_ribs
from medcolor.phantom.anatomy.shoulder import paint_girdle_muscles, paint_scapula
from medcolor.phantom.anatomy.wall import cage
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import at_least, both
from medcolor.phantom.tissues import Tissue


def paint_trunk_muscles(canvas: Canvas) -> None:
    """Paint the muscles of trunk and limbs."""
    paint_back_muscles(canvas)
    paint_girdle_muscles(canvas)
    paint_intercostals(canvas)
    paint_abdominal_wall(canvas)
    paint_hip_muscles(canvas)
    paint_arm_muscles(canvas)


def _paint_mammary_glands(canvas: Canvas) -> None:
    if canvas.person.breast == 0:
        return
    for w in canvas.windows((10, -170, -460), (140, -40, -330), SIDES):
        lobes = 0.2 - w.noise("breast", 14.0) + at_least(breast(w) * 0.06, -1)
        body = both(breast(w) + 12, w.skin + 9)
        w.paint(Tissue.GLAND, both(lobes, body, 8 - cage(w)), over=(Tissue.FAT,))


def paint_organs(canvas: Canvas) -> None:
    """Paint the organs of chest and belly, and the great vessels."""
    _paint_mammary_glands(canvas)
    paint_lungs(canvas)
    paint_kidneys(canvas)
    paint_liver(canvas)
    paint_spleen_and_pancreas(canvas)
    paint_bowel(canvas)
    paint_bladder(canvas)
    paint_heart(canvas)
    paint_vessels(canvas)


def paint_trunk_bones(canvas: Canvas) -> None:
    """Paint rib cage, shoulder girdle, pelvis and limb bones."""
    paint_ribs(canvas)
    paint_breastbone(canvas)
    paint_scapula(canvas)
    paint_pelvic_bones(canvas)
    paint_sacrum(canvas)
    paint_arm_bones(canvas)
