"""Batch sizes that a plan is prepared for, and the splitting of batches into them. Needs neither TensorRT nor CUDA."""

from collections.abc import Iterator


def buckets_of(smallest: int, largest: int) -> tuple[int, ...]:
    """Return the powers of two between a profile's smallest and largest batch, and the largest, in ascending order.

    A batch is padded to the next bucket, so that a few CUDA graphs serve every batch size.
    """
    if not 1 <= smallest <= largest:
        raise ValueError(f"a profile's batch must rise from 1, found {smallest} to {largest}")
    powers = (1 << exponent for exponent in range(largest.bit_length()))
    return tuple(sorted({size for size in powers if smallest <= size <= largest} | {largest}))


def cut(num: int, buckets: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Yield (start, stop, bucket) for images 0 to `num`: full largest buckets, then the padded rest."""
    for start in range(0, num, buckets[-1]):
        stop = min(start + buckets[-1], num)
        yield start, stop, next(bucket for bucket in buckets if bucket >= stop - start)
