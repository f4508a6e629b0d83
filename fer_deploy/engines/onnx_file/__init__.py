"""Checks of an ONNX file before a runtime opens it, without an ONNX library."""
