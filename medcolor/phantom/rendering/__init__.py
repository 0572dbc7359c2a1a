"""What CT, MR and camera see of a phantom."""

from __future__ import annotations
