"""Format durations and times like the clock of a video player."""


def duration_text(seconds: float, *, decimals: int = 2) -> str:
    """Return a duration as 0:02.99, 12:34.50 or 1:02:03; from one hour on it is rounded to seconds.

    Args:
        seconds: 0 or more.
        decimals: decimal places of the seconds, 0 to 2.
    """
    rounded = round(seconds, decimals)
    if rounded >= 3600:
        whole = round(seconds)
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    minutes, rest = divmod(round(rounded * 10**decimals), 60 * 10**decimals)
    width = 3 + decimals if decimals else 2
    return f"{minutes}:{rest / 10**decimals:0{width}.{decimals}f}"
