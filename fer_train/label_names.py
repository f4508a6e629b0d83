"""Names of the classes, in the order of their numbers."""

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's classes in the order of its label numbers 0 to 6 (Goodfellow et al. 2013, arXiv 1307.0414)."""
FERPLUS_EMOTIONS = (*EMOTIONS, "contempt")
"""The classes of FER+'s votes (Barsoum et al. 2016, arXiv 1608.01041): FER2013's, in the same order, then contempt."""


def in_known_order(labels: list[str]) -> list[str]:
    """Return the labels in the order of `FERPLUS_EMOTIONS`; unchanged if one of them is unknown."""
    if not set(labels) <= set(FERPLUS_EMOTIONS):
        return labels
    return sorted(labels, key=FERPLUS_EMOTIONS.index)
