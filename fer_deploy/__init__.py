"""Run face-emotion models on cameras and archives: export, engines, and a threaded live loop.

The runtime (everything but `fer_deploy.export`) never imports torch, onnx or fer_train.
"""

__version__ = "0.1.0"
