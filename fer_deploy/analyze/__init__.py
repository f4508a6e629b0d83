"""Analyze recorded videos: write tables, annotated video, timeline and report. A killed run can be continued."""
