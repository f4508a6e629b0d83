"""Sinks for annotated video: codecs, encoder, and pictures fitted to its size."""
