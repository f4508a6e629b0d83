"""Measure what every artifact costs on this machine, and find the best one. Nothing here is MLPerf."""
