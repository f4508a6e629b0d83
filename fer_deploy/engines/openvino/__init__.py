"""Engine of OpenVINO, for CPUs that it knows better than ONNX Runtime does."""
