"""Checkpoint -> verified ONNX. The only part of fer_deploy that knows torch, onnx and fer_train."""
