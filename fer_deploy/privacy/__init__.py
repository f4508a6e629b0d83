"""Privacy: what must not leave this machine or appear in a log: credentials, local paths, telemetry."""
