"""Packs: a model in one file, from which another machine builds its plans and proves them, without PyTorch or data."""
