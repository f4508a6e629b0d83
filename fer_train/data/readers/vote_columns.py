"""The vote columns of FER+'s fer2013new.csv, in its order."""

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""What a tagger could choose; "NF" is "not a face"."""
