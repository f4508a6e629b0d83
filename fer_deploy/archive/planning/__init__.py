"""Find videos, index their packets, and cut them into segments."""
