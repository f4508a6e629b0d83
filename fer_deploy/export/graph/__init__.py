"""Write the FP32 ONNX model of a checkpoint, and read the ONNX source of a plan."""
