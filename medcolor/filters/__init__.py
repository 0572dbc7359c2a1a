"""Smoothing and pooling of votes, guided by the scan."""
