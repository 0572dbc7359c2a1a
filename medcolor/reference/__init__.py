"""From photographs of cross-sections to references."""
