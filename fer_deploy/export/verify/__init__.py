"""Verification: how near an artifact comes to PyTorch, on clean and on degraded faces."""
