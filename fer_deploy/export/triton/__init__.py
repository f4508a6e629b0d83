"""Write model repositories for Triton Inference Server."""
