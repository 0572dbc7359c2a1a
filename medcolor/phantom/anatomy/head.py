"""Everything above the shoulders, painted from the outside in."""

from __future__ import annotations

from medcolor.phantom.anatomy.cranium import BRAIN_BOX, brain_case
from medcolor.phantom.anatomy.face_bones import (
    paint_face_bones,
    paint_nasal_cavity,
    paint_sinuses,
)
from medcolor.phantom.anatomy.masticators import (
    paint_cheeks,
    paint_masticators,
    paint_temporalis,
)
from medcolor.phantom.anatomy.mouth import paint_jaws, paint_teeth, paint_tongue
from medcolor.phantom.anatomy.neck import (
    paint_neck_muscles,
    paint_neck_vessels,
    paint_throat,
)
from medcolor.phantom.anatomy.orbit import paint_eyes
from medcolor.phantom.anatomy.outline import ear
from medcolor.phantom.anatomy.skull import paint_base, paint_ear_cavities, paint_vault
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import ellipsoid
from medcolor.phantom.tissues import Tissue


def paint_head(canvas: Canvas) -> None:
    """Paint head and neck, all but the brain and the spine."""
    cases = [(w, brain_case(w)) for w in canvas.windows(*BRAIN_BOX)]
    for w, case in cases:
        paint_temporalis(w, case)
    paint_neck_muscles(canvas)
    paint_masticators(canvas)
    paint_cheeks(canvas)
    for w, case in cases:
        paint_vault(w, case)
    paint_base(canvas)
    paint_face_bones(canvas)
    paint_sinuses(canvas)
    paint_nasal_cavity(canvas)
    paint_jaws(canvas)
    paint_teeth(canvas)
    paint_tongue(canvas)
    paint_throat(canvas)
    paint_neck_vessels(canvas)
    paint_ear_cavities(canvas)
    for w, case in cases:
        w.paint(Tissue.CSF, case)
        w.paint(Tissue.GLAND, ellipsoid(w, (0, -3, -27), (6, 4.5, 4)))
    paint_eyes(canvas)
    for w in canvas.windows((60, 0, -90), (105, 60, -5), SIDES):
        w.paint(Tissue.CARTILAGE, ear(w) + w.thin(1.7), over=(Tissue.FAT,))
