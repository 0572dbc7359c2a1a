"""Gray-VGG19: taps for matching, fc6 for retrieval."""
