"""Which photograph for which slice."""
