"""A live run as a service: it reports to systemd, and reloads its config."""
