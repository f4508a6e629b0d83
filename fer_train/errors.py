"""All errors that fer_train raises on purpose. Each class carries the exit code of the CLI.

FerTrainError                 1
├── ConfigError               2   unknown, contradictory or out-of-range setting
├── DataError                 4   a file of faces or votes that cannot be used
│   └── SplitAbsentError      4   the data set is fine but lacks the split asked for
├── CheckpointError           4   a checkpoint that is truncated, foreign or from another run
├── MissingDependencyError    3   a package of an extra is not installed
├── OutputError               8   standard output cannot be written
├── DivergenceError           9   the loss became NaN or infinite
└── OutOfMemoryError         10   the device or the machine has too little memory

A signal is not an error: 130 (Ctrl-C), 143 (SIGTERM), 129 (SIGHUP); see `fer_train.signals`.
"""


class FerTrainError(Exception):
    """Base class. The message says what failed, what was found and how to fix it."""

    exit_code = 1


class ConfigError(FerTrainError):
    """A setting is unknown, contradictory or out of range."""

    exit_code = 2


class DataError(FerTrainError):
    """A data file is missing, malformed or of another kind than expected."""

    exit_code = 4


class SplitAbsentError(DataError):
    """The data set has no rows in the split asked for."""


class CheckpointError(FerTrainError):
    """A checkpoint cannot be read, or belongs to another model or run."""

    exit_code = 4


class OutputError(FerTrainError):
    """Standard output cannot be written; files that were finished are on disk."""

    exit_code = 8


class DivergenceError(FerTrainError):
    """Training produced a loss that is not finite; the last good checkpoint is kept."""

    exit_code = 9


class MissingDependencyError(FerTrainError):
    """A package of an extra is not installed."""

    exit_code = 3


class OutOfMemoryError(FerTrainError):
    """The device or the machine has too little memory for this batch; the last checkpoint is kept."""

    exit_code = 10


def is_out_of_memory(err: BaseException) -> bool:
    """Return whether Python or PyTorch raised this because the machine or the device ran out of memory."""
    text = str(err)
    return isinstance(err, MemoryError) or (
        isinstance(err, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )
