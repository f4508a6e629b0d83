"""Training: one run from a config to checkpoints, several runs, and what a run writes."""
