"""Plans: TensorRT's builder, of both flavors, and proof of what it built."""
