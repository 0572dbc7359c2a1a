"""Public data: what there is, and fetching it."""
