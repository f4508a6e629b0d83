"""Privacy: what must not leave this machine: local paths, telemetry."""
