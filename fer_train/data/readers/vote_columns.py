"""Vote columns of FER+'s fer2013new.csv, in their order."""

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""The choices of a tagger; "NF" means "not a face"."""
