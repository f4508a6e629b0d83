"""Train face-emotion models on FER2013 and release them as data: safetensors plus a ModelSpec.

Knows PyTorch and the data set. Does not know ONNX, engines or cameras: those live in `fer_deploy`,
which this package never imports.
"""

from fer_train.privacy import telemetry

__version__ = "0.1.0"

telemetry.switch_off()  # before any import of ONNX Runtime
