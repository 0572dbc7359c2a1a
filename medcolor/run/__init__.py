"""Running work: what a task is, who runs it, what is remembered of it."""
