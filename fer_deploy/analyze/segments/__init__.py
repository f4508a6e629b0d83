"""Segments of a recording: read them, observe them in any order, and replay the observations in order."""
