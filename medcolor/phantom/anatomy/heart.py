"""The heart with its four chambers, and the great vessels of trunk and limbs."""

from __future__ import annotations

from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import blend, ellipsoid
from medcolor.phantom.tissues import Tissue

YAW, ROLL = -40.0, -30.0
"""Direction of the heart's long axis: to the left, forwards and down, in degrees."""
CHAMBERS = (
    # centre, radii along and across the long axis, wall mm, along the long axis?
    ((-32, -4, -366), (26, 29, 38), 2.8, False),  # right atrium
    ((4, 26, -350), (36, 20, 26), 2.8, False),  # left atrium
    ((14, -38, -383), (58, 26, 35), 4.4, True),  # right ventricle
    ((36, -8, -384), (58, 36, 36), 11.0, True),  # left ventricle
)
VESSEL = ((0.0, Tissue.VESSEL_WALL), (1.5, Tissue.BLOOD))
MIDLINE = (
    # aorta
    (
        (12, -8, -352, 14), (0, -20, -318, 15), (-6, -14, -288, 14.5), (2, 4, -266, 13.5),
        (14, 30, -266, 13), (24, 52, -288, 12.5), (25, 57, -330, 12), (22, 56, -390, 11.5),
        (12, 40, -440, 11), (7, 28, -485, 10.5), (6, 22, -540, 9.5), (3, 16, -592, 9),
    ),
    # pulmonary trunk and its two arteries
    ((6, -40, -345, 14), (14, -24, -318, 14), (18, 4, -298, 13), (10, 14, -302, 11),
     (-20, 16, -306, 10), (-42, 20, -312, 8)),
    ((18, 2, -300, 12), (34, 20, -298, 10), (50, 28, -308, 8)),
    # superior vena cava, brachiocephalic veins
    ((-22, -8, -248, 9), (-27, -6, -290, 10), (-28, -4, -335, 11)),
    ((24, 0, -226, 7.5), (6, -16, -244, 8), (-20, -10, -254, 9)),
    ((-24, 0, -226, 7.5), (-23, -6, -250, 8.5)),
    # inferior vena cava
    (
        (-26, 2, -372, 12), (-22, 22, -410, 12), (-20, 24, -450, 11), (-18, 24, -510, 10.5),
        (-15, 18, -560, 10), (-8, 17, -598, 10),
    ),
    # coeliac trunk and superior mesenteric vessels
    ((7, 22, -488, 4), (4, 6, -486, 3.5), (24, 12, -474, 3), (70, 34, -458, 2.5)),
    ((6, 18, -505, 4.5), (2, -6, -540, 4), (8, -16, -600, 3.2), (-20, -18, -650, 2.2)),
    ((-10, 4, -500, 5.5), (-8, -8, -545, 4.5), (-4, -18, -610, 3)),
)  # fmt: skip
PAIRED = (
    # pulmonary veins
    ((22, 30, -338, 6.5), (40, 32, -334, 5.5), (60, 34, -345, 3.5)),
    # subclavian and axillary artery and vein, down the arm
    (
        (16, 14, -240, 5), (30, 18, -224, 4.6), (62, 16, -226, 4.4), (110, 24, -250, 4.2),
        (160, 30, -300, 3.6), (188, 30, -370, 3), (203, 34, -460, 2.6), (212, 34, -540, 2.4),
        (228, 12, -680, 1.8),
    ),
    (
        (22, 0, -230, 6.5), (60, 4, -232, 5.6), (108, 16, -256, 5), (156, 24, -306, 4.2),
        (184, 24, -380, 3.2), (202, 22, -500, 2.6),
    ),
    # iliac and femoral artery and vein
    (
        (3, 17, -590, 7.5), (22, 26, -630, 6.5), (48, 12, -680, 6), (68, -22, -725, 5.4),
        (78, -42, -765, 5), (80, -36, -840, 4.6), (76, -22, -900, 4.4), (74, -10, -1000, 4),
    ),
    (
        (-4, 19, -596, 8.5), (20, 34, -640, 8), (40, 22, -690, 7), (58, -16, -730, 6.5),
        (67, -38, -768, 6.2), (72, -30, -840, 5.6), (70, -14, -900, 5.2), (70, -2, -1000, 5),
    ),
    # renal artery and vein
    ((4, 28, -506, 3), (30, 42, -508, 3), (48, 50, -508, 2.6)),
    ((10, 20, -512, 4.5), (30, 34, -512, 4.2), (50, 48, -512, 3.4)),
)  # fmt: skip


HEART_BOX = ((-80.0, -110.0, -470.0), (130.0, 80.0, -290.0))


def chambers(w: Window) -> list[Field]:
    """Distance to the outer surface of each chamber, in the order of `CHAMBERS`."""
    p = w.person
    size = p.vary("heart/size", 0.92, 1.08)
    shift = (p.vary("heart/x", -6, 5), p.vary("heart/y", -3, 3), p.vary("heart/z", -6, 6))
    shapes = []
    for centre, radii, _, along in CHAMBERS:
        moved = [c + s for c, s in zip(centre, shift, strict=True)]
        sized = [r * size for r in radii]
        yaw, roll = (YAW, ROLL) if along else (0.0, 0.0)
        shapes.append(ellipsoid(w, moved, sized, yaw=yaw, roll=roll))
    return shapes


def pericardium(w: Window) -> Field:
    """Distance to the sac around the heart with the fat in it."""
    first, *others = chambers(w)
    for shape in others:
        first = blend(first, shape, 16)
    return first - (2 + 2 * w.person.fatness)


def paint_heart(canvas: Canvas) -> None:
    """Paint the chambers in their walls; the ventricles come last and keep their septum."""
    for w in canvas.windows(*HEART_BOX):
        for shape, (_, _, wall, along) in zip(chambers(w), CHAMBERS, strict=True):
            outer = shape + 1.2 * w.noise("heart", 16.0)
            w.paint(Tissue.HEART_MUSCLE, outer)
            inner = outer + wall
            if along:
                inner = inner + 1.5 * w.noise("trabeculae", 5.0)
            w.paint(Tissue.BLOOD, inner)


def paint_vessels(canvas: Canvas) -> None:
    """Paint arteries and veins."""
    for course in MIDLINE:
        paint_tube(canvas, course, VESSEL)
    for pair in PAIRED:
        paint_tube(canvas, pair, VESSEL, sides=SIDES)
