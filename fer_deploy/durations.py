"""Durations and moments as people read them on a player's clock."""


def duration_text(seconds: float, *, decimals: int = 2) -> str:
    """Return 0:02.99, 12:34.50 or 1:02:03: from an hour on without decimals, rounded.

    Args:
        seconds: 0 or more.
        decimals: digits behind the seconds, 0 to 2.
    """
    rounded = round(seconds, decimals)
    if rounded >= 3600:
        whole = round(seconds)
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    minutes, rest = divmod(round(rounded * 10**decimals), 60 * 10**decimals)
    width = 3 + decimals if decimals else 2
    return f"{minutes}:{rest / 10**decimals:0{width}.{decimals}f}"
