"""What each tissue looks like to a CT scanner, an MR scanner at 3 T, and a camera.

Sources, by the letters of the table:

- a: Schneider, Bortfeld & Schlegel 2000, doi:10.1088/0031-9155/45/2/314 (HU).
- b: in-vivo ranges in Prokop & Galanski, Spiral and Multislice CT of the Body, 2003 (HU).
- c: Stanisz et al. 2005, doi:10.1002/mrm.20605 (T1, T2 at 3 T).
- d: de Bazelaire et al. 2004, doi:10.1148/radiol.2303021331 (T1, T2 at 3 T).
- e: Gold et al. 2004, doi:10.2214/ajr.183.2.1830343 (T1, T2 at 3 T).
- f: Rooney et al. 2007, doi:10.1002/mrm.21122 (T1 of fluid).
- o: our estimate, by likeness to a measured tissue or to ordinary clinical pictures.

The letters stand in the order HU, T1, T2. Proton densities, relative to water, are our estimates
throughout, after the water content of the tissues. The colours are our own choice, guided by
spots measured on cryosection photographs of the Visible Human (sRGB as the frames show them).
"""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.phantom.drawing.fields import Number
from medcolor.phantom.tissues import Tissue


@dataclass(frozen=True)
class Property:
    """One tissue's numbers."""

    hu: Number
    t1_ms: Number
    t2_ms: Number
    proton_density: Number
    """Signal-giving protons relative to water, 0..1."""
    rgb: tuple[int, int, int]
    """sRGB, 0..255, before texture and lighting."""
    source: str
    """Letters of the module's docstring for HU, T1 and T2."""


PROPERTIES: dict[Tissue, Property] = {
    Tissue.AIR: Property(-1000, 1000, 1, 0.00, (30, 76, 116), "a--"),
    Tissue.SKIN: Property(60, 900, 35, 0.75, (150, 126, 99), "ooo"),
    Tissue.FAT: Property(-98, 382, 68, 0.92, (188, 158, 112), "add"),
    Tissue.MUSCLE: Property(52, 1412, 50, 0.80, (82, 38, 29), "bcc"),
    Tissue.CORTICAL_BONE: Property(1524, 250, 0.5, 0.15, (196, 178, 136), "aoo"),
    Tissue.SPONGY_BONE: Property(290, 586, 49, 0.60, (160, 112, 78), "odd"),
    Tissue.YELLOW_MARROW: Property(-60, 365, 133, 0.85, (198, 150, 92), "oee"),
    Tissue.CARTILAGE: Property(110, 1168, 27, 0.70, (186, 172, 132), "occ"),
    Tissue.DISC: Property(85, 1300, 80, 0.78, (208, 200, 158), "ooo"),
    Tissue.TOOTH: Property(2200, 250, 0.5, 0.05, (226, 218, 190), "ooo"),
    Tissue.FASCIA: Property(100, 900, 12, 0.55, (178, 156, 122), "aoo"),
    Tissue.CSF: Property(8, 4300, 1900, 1.00, (110, 90, 62), "bfo"),
    Tissue.GREY_MATTER: Property(40, 1820, 99, 0.82, (164, 130, 87), "bcc"),
    Tissue.WHITE_MATTER: Property(28, 1084, 69, 0.70, (212, 192, 136), "bcc"),
    Tissue.DEEP_GREY: Property(38, 1480, 80, 0.78, (146, 107, 66), "ooo"),
    Tissue.CAVITY: Property(-1000, 1000, 1, 0.00, (30, 76, 116), "a--"),
    Tissue.MUCOSA: Property(45, 1450, 70, 0.85, (118, 66, 52), "ooo"),
    Tissue.GLAND: Property(20, 1200, 74, 0.82, (150, 112, 80), "ood"),
    Tissue.VITREOUS: Property(8, 4000, 1200, 0.98, (82, 88, 82), "ooo"),
    Tissue.LENS: Property(70, 1000, 25, 0.65, (188, 176, 118), "ooo"),
    Tissue.SCLERA: Property(60, 900, 20, 0.60, (208, 202, 182), "ooo"),
    Tissue.TONGUE: Property(48, 1350, 50, 0.80, (128, 72, 55), "ooo"),
    Tissue.LUNG: Property(-820, 1200, 30, 0.20, (44, 21, 16), "boo"),
    Tissue.BLOOD: Property(55, 1932, 275, 0.86, (38, 16, 15), "bcc"),
    Tissue.VESSEL_WALL: Property(45, 1200, 45, 0.75, (162, 126, 96), "ooo"),
    Tissue.HEART_MUSCLE: Property(55, 1471, 47, 0.80, (98, 52, 38), "bcc"),
    Tissue.LIVER: Property(60, 812, 42, 0.72, (84, 46, 31), "bcc"),
    Tissue.BILE: Property(12, 2600, 600, 0.97, (66, 72, 28), "ooo"),
    Tissue.SPLEEN: Property(50, 1328, 61, 0.80, (62, 26, 27), "bdd"),
    Tissue.KIDNEY_CORTEX: Property(38, 1142, 76, 0.82, (122, 70, 50), "bdd"),
    Tissue.KIDNEY_MEDULLA: Property(32, 1545, 81, 0.84, (92, 44, 38), "bdd"),
    Tissue.PANCREAS: Property(38, 725, 43, 0.75, (176, 132, 92), "bdd"),
    Tissue.BOWEL_WALL: Property(23, 1400, 65, 0.80, (172, 118, 94), "aoo"),
    Tissue.CHYME: Property(18, 2200, 200, 0.92, (118, 92, 50), "ooo"),
    Tissue.FAECES: Property(10, 1100, 60, 0.70, (78, 58, 32), "ooo"),
    Tissue.URINE: Property(6, 3900, 1500, 1.00, (164, 140, 78), "ooo"),
    Tissue.THYROID: Property(90, 1300, 70, 0.80, (108, 62, 49), "ooo"),
}
