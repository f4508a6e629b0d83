"""Engines on ONNX Runtime: CPU, CUDA, TensorRT and TensorRT for RTX providers."""
