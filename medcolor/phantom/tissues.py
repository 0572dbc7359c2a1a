"""The tissues a phantom is made of; their numbers are what the label volume holds."""

from __future__ import annotations

from enum import IntEnum


class Tissue(IntEnum):
    """One value of the label volume. `AIR` is outside the body, `CAVITY` is air within it."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    SPONGY_BONE = 5
    YELLOW_MARROW = 6
    CARTILAGE = 7
    DISC = 8
    TOOTH = 9
    FASCIA = 10
    CSF = 11
    GREY_MATTER = 12
    WHITE_MATTER = 13
    DEEP_GREY = 14
    CAVITY = 15
    MUCOSA = 16
    GLAND = 17
    VITREOUS = 18
    LENS = 19
    SCLERA = 20
    TONGUE = 21
    LUNG = 22
    BLOOD = 23
    VESSEL_WALL = 24
    HEART_MUSCLE = 25
    LIVER = 26
    BILE = 27
    SPLEEN = 28
    KIDNEY_CORTEX = 29
    KIDNEY_MEDULLA = 30
    PANCREAS = 31
    BOWEL_WALL = 32
    CHYME = 33
    FAECES = 34
    URINE = 35
    THYROID = 36
