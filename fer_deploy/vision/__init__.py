"""Pure functions and state between a frame and a result: arrays in, values out. No threads, files or models."""
