"""Pure stages between a frame and a result: arrays in, values out. No threads, no files, no models."""
