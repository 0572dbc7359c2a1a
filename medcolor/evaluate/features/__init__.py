"""How well features find what belongs together, where that is known."""
