"""Graph: the FP32 ONNX model of a checkpoint, and the source that a plan is built from."""
