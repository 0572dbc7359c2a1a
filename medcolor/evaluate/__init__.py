"""Quality where the truth is known."""
