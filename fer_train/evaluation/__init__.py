"""Measure a model or an ensemble on labelled faces, and plot the results."""
