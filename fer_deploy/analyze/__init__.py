"""Recorded video in; tables, annotated video, timeline and report out. A run that was killed goes on."""
