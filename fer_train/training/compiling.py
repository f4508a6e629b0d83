"""Errors of torch.compile, in words: a machine without a compiler is told from a network that cannot be compiled."""

from collections.abc import Iterator
from contextlib import contextmanager

from fer_train.errors import ConfigError, MissingDependencyError

_MODULES = ("torch._inductor", "torch._dynamo", "triton")
_TOOLS = ("Compiler", "CppCompile", "Triton", "CUDACompile")
"""Parts of the names of errors that come from a compiler which is missing or does not work."""


@contextmanager
def compile_errors() -> Iterator[None]:
    """Turn what torch.compile raises, at the first step of a run, into one error with its Fix.

    Raises:
        MissingDependencyError: a compiler is missing, or does not work.
        ConfigError: PyTorch cannot compile this network.
    """
    try:
        yield
    except Exception as err:  # of any class: each backend has its own
        if not type(err).__module__.startswith(_MODULES):
            raise
        reason = f"{type(err).__name__}: {(str(err).strip().splitlines() or [''])[0][:300]}"
        if any(word in reason for word in _TOOLS):
            raise MissingDependencyError(
                f"compile: true needs a C++ compiler that works, and on a GPU Triton: {reason}. "
                "Fix: apt-get install g++ (or set CXX to one), or compile: false"
            ) from err
        raise ConfigError(f"compile: true: PyTorch cannot compile this network: {reason}. Fix: compile: false") from err
