"""Run face-emotion models on pictures, cameras and archives: export, engines, and a threaded live loop.

    from fer_deploy import Recognizer

    for face in Recognizer().analyze("photo.jpg"):
        print(face.box, face.label, face.confidence)

The names in `__all__` are stable; docs/api.md describes them. Each is imported when it is first used.
The runtime (everything but `fer_deploy.export`) never imports torch, onnx or fer_train.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fer_deploy.privacy import telemetry

if TYPE_CHECKING:
    from fer_deploy.detectors import DetectorConfig, build_detectors
    from fer_deploy.engines import Engine, open_engine
    from fer_deploy.errors import FerDeployError
    from fer_deploy.live.pipeline import LivePipeline
    from fer_deploy.live.sources import open_source
    from fer_deploy.recognizer import Recognizer, RecognizerConfig
    from fer_deploy.spec import ModelSpec
    from fer_deploy.vision.quality import FaceQuality
    from fer_deploy.vision.types import Emotion, FaceResult, FrameResult

__version__ = "0.1.0"
__all__ = [
    "DetectorConfig",
    "Emotion",
    "Engine",
    "FaceQuality",
    "FaceResult",
    "FerDeployError",
    "FrameResult",
    "LivePipeline",
    "ModelSpec",
    "Recognizer",
    "RecognizerConfig",
    "build_detectors",
    "open_engine",
    "open_source",
]

telemetry.switch_off()  # before any import of ONNX Runtime

_MODULES = {
    "DetectorConfig": "fer_deploy.detectors",
    "Emotion": "fer_deploy.vision.types",
    "Engine": "fer_deploy.engines",
    "FaceQuality": "fer_deploy.vision.quality",
    "FaceResult": "fer_deploy.vision.types",
    "FerDeployError": "fer_deploy.errors",
    "FrameResult": "fer_deploy.vision.types",
    "LivePipeline": "fer_deploy.live.pipeline",
    "ModelSpec": "fer_deploy.spec",
    "Recognizer": "fer_deploy.recognizer",
    "RecognizerConfig": "fer_deploy.recognizer",
    "build_detectors": "fer_deploy.detectors",
    "open_engine": "fer_deploy.engines",
    "open_source": "fer_deploy.live.sources",
}

if not TYPE_CHECKING:  # type checkers would take any name for one of this package

    def __getattr__(name):
        """Import a public name."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__():
        """Return all names, including those not imported yet."""
        return sorted({*globals(), *__all__})
