"""Batch sizes that a plan is prepared for, and how a batch is cut to them. Knows neither TensorRT nor CUDA."""

from collections.abc import Iterator


def buckets_of(smallest: int, largest: int) -> tuple[int, ...]:
    """Return the powers of two within a profile's smallest and largest batch, and the largest, rising.

    A batch is padded up to the next bucket, so that a handful of CUDA graphs serves every batch size.
    """
    if not 1 <= smallest <= largest:
        raise ValueError(f"a profile's batch must rise from 1, found {smallest} to {largest}")
    powers = (1 << exponent for exponent in range(largest.bit_length()))
    return tuple(sorted({size for size in powers if smallest <= size <= largest} | {largest}))


def cut(num: int, buckets: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Yield (start, stop, bucket) that cover images 0 to `num`: full largest buckets, then the rest padded up."""
    for start in range(0, num, buckets[-1]):
        stop = min(start + buckets[-1], num)
        yield start, stop, next(bucket for bucket in buckets if bucket >= stop - start)
