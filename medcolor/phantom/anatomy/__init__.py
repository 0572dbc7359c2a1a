"""One organ system a file, painted into a canvas in canonical millimetres."""

from __future__ import annotations
