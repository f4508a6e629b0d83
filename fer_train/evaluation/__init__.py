"""Evaluation: measures of a model or an ensemble on labelled faces, and their plots."""
