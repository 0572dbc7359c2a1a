"""Scans in, coloured OME-Zarr volumes out."""
