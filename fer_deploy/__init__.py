"""Run face-emotion models on cameras and archives: export, engines, and a threaded live loop.

The runtime (everything but `fer_deploy.export`) never imports torch, onnx or fer_train.
"""

from fer_deploy import telemetry

__version__ = "0.1.0"

telemetry.switch_off()  # before any import of ONNX Runtime
