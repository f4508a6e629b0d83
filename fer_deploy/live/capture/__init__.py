"""Decode video, and read cameras and streams in a separate process, since a read that hangs can only be killed."""
