"""Noise, coordinates, distances and brushes; nothing here knows anatomy but posture.py."""

from __future__ import annotations
