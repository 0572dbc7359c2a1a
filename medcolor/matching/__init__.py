"""Dense correspondence between a scan and a photograph."""
