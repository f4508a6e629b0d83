"""Verify artifacts: compare them with PyTorch on clean and on degraded faces."""
