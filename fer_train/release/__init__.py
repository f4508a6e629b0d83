"""Build a release: the weights file for others, its measured values and its model card."""
