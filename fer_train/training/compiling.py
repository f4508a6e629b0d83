"""Translate errors of torch.compile: either the machine has no compiler, or the network cannot be compiled."""

from collections.abc import Iterator
from contextlib import contextmanager

from fer_train.errors import ConfigError, MissingDependencyError

_MODULES = ("torch._inductor", "torch._dynamo", "triton")
_TOOLS = ("Compiler", "CppCompile", "Triton", "CUDACompile")
"""Parts of the names of errors from a missing or broken compiler."""


@contextmanager
def compile_errors() -> Iterator[None]:
    """Turn the exceptions of torch.compile, at the first step of a run, into one error with its Fix.

    Raises:
        MissingDependencyError: a compiler is missing or broken.
        ConfigError: PyTorch cannot compile this network.
    """
    try:
        yield
    except Exception as err:  # each backend has its own classes
        if not type(err).__module__.startswith(_MODULES):
            raise
        reason = f"{type(err).__name__}: {(str(err).strip().splitlines() or [''])[0][:300]}"
        if any(word in reason for word in _TOOLS):
            raise MissingDependencyError(
                f"compile: true needs a working C++ compiler, and on a GPU Triton: {reason}. "
                "Fix: apt-get install g++ (or set CXX to one), or compile: false"
            ) from err
        raise ConfigError(f"compile: true: PyTorch cannot compile this network: {reason}. Fix: compile: false") from err
