"""What a released .safetensors file holds: its spec and its tensors."""
