"""Engines that run TensorRT plans, of both flavors."""
