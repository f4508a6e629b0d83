"""Sweep: every run of a plan, the ensemble of the best, students of the ensemble; tables of runs."""
