"""Keep private data on this machine: local paths, telemetry."""
