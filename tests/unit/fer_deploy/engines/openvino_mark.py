"""Skips tests where OpenVINO is not installed; it is looked for and not imported, which would start its telemetry."""

from importlib.util import find_spec

import pytest

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed: pip install 'fer-toolchain[openvino]'"
)
