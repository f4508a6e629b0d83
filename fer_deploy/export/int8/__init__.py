"""Create INT8 and FP16 variants of a graph: calibration, quantization, and the accuracy cost of each layer."""
