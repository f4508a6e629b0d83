"""Train face-emotion models on FER2013 and release them as data: safetensors plus a ModelSpec.

This package depends on PyTorch and the data set. ONNX, engines and cameras belong to `fer_deploy`,
which this package never imports.
"""

from fer_train.privacy import telemetry

__version__ = "0.1.0"

telemetry.switch_off()  # before any import of ONNX Runtime
