"""The brain as a whole, on a grid of its own."""

from __future__ import annotations

import math

from medcolor.phantom.anatomy.cerebrum import paint_cerebrum
from medcolor.phantom.anatomy.cranium import BRAIN_BOX, brain_case
from medcolor.phantom.anatomy.deep_brain import paint_deep_brain
from medcolor.phantom.anatomy.hindbrain import paint_cerebellum, paint_dura, paint_stem
from medcolor.phantom.drawing.canvas import Canvas
from medcolor.phantom.tissues import Tissue

COARSEST_MM = 2.0
"""Spacing beyond which sulci and cortex no longer come out."""


def paint_brain(canvas: Canvas) -> None:
    """Paint the brain into its case.

    Where the canvas is coarse, the brain is painted on a grid `n` times finer, and every n-th
    voxel is taken: cortex and fluid keep their shares of the volume at any spacing.
    """
    box = canvas.box(*BRAIN_BOX)
    if box is None:
        return
    factor = math.ceil(canvas.lattice.spacing_mm / COARSEST_MM)
    fine = Canvas(canvas.person, canvas.lattice.part(box).refined(factor))
    for w in fine.windows(*BRAIN_BOX):
        case = brain_case(w)
        w.paint(Tissue.CSF, case)
        paint_cerebrum(w)
        paint_cerebellum(w, case)
        paint_stem(fine)
        paint_deep_brain(fine)
        paint_dura(w)
    coarse = fine.labels[::factor, ::factor, ::factor]
    canvas.labels[box][coarse > 0] = coarse[coarse > 0]
