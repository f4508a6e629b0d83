"""Connect to a Ray cluster, or start one on this machine."""
