"""Models: where they come from, how they run, and their heads."""
