"""Labels of the synthetic tissues: what their contrast depends on, beside chance."""

RIMS = range(1, 5)
"""Skin, fat, muscle, skull, from outside in; any may be absent."""

CURVES = range(5, 7)
BONES = range(7, 9)
"""Ribs and vertebrae."""

VESSELS = range(9, 12)
ORGANS = range(12, 18)
INNER = range(18, 34)
AIRY = range(34, 36)
"""Air spaces and lungs."""

TISSUE_COUNT = 36
"""Labels 1..35 are tissues, 0 is background."""
