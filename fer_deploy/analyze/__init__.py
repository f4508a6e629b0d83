"""Recorded video in; table, annotated video, timeline and report out. In segments, so that a run that was killed goes on."""
