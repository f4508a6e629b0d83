"""Build plans with TensorRT or TensorRT for RTX, and prove their precision."""
