"""Fingerprint of a run: what its numbers depend on, and the short name that every table of the run carries."""
