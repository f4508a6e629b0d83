"""Engine that runs on a Triton Inference Server."""
