"""Export a checkpoint to verified ONNX files. The only part of fer_deploy that imports torch, onnx and fer_train."""
