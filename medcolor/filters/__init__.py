"""Filters that know borders, and what a scan explains."""
