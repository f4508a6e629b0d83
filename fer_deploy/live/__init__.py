"""The threaded loop: capture, infer and sinks, joined by buffers."""
