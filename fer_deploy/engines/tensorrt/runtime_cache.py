"""Store the kernels that TensorRT for RTX compiled on this machine, so that the next start is fast.

TensorRT refuses a cache of another version, GPU or system. There is one file for each plan, version and GPU, in a
folder that only the user can read or write.
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from fer_deploy.files.durable import write_file
from fer_deploy.files.private_files import read_private

_MAX_BYTES = 100_000_000
"""NVIDIA's recommended size of a cache; a larger one is not read."""
_log = logging.getLogger(__name__)


def cache_file(plan: bytes, version: str, gpu: str) -> Path:
    """Return the path of a plan's cache; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    identity = b"\0".join([plan, version.encode(), gpu.encode()])
    return Path(root) / "fer-deploy" / "tensorrt-rtx" / f"{hashlib.sha256(identity).hexdigest()[:32]}.cache"


def rtx_config(trt: Any, engine: Any, path: Path, *, is_captured: bool) -> tuple[Any, Any]:
    """Return a runtime config and its cache, filled from `path` if it can be read and TensorRT accepts it.

    If contexts are captured, kernels are compiled for each shape at once: a CUDA graph captured earlier would always
    replay the general kernels. Otherwise TensorRT compiles them in the background, and new shapes do not wait.
    """
    config = engine.create_runtime_config()
    if is_captured:
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    cache = config.create_runtime_cache()
    try:  # kernels are code: only a file that no other user could write is loaded
        cache.deserialize(read_private(path, max_bytes=_MAX_BYTES))
    except FileNotFoundError:  # no cache yet: this start compiles
        pass
    except OSError as err:
        _log.warning("compiled kernels are not read from the cache; this start compiles them: %s", err)
    config.set_runtime_cache(cache)
    return config, cache


def store(cache: Any, path: Path) -> str:
    """Write the cache atomically; return "" or the reason of a failure, which costs only time."""
    content = bytes(cache.serialize())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, content)
    except OSError as err:
        return f"compiled kernels were not stored ({err.strerror or err})"
    return ""
