"""Sinks: the outputs of the live loop. Each kind is imported when it is first used, and packages of an extra too."""

from importlib import import_module
from typing import TYPE_CHECKING

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.result_json import line_from_result

if TYPE_CHECKING:
    from fer_deploy.live.sinks.jsonl import JsonlSink
    from fer_deploy.live.sinks.mqtt import MqttSink
    from fer_deploy.live.sinks.tables.rows import CsvSink, ParquetSink
    from fer_deploy.live.sinks.video.sink import VideoSink
    from fer_deploy.live.sinks.window import WindowSink

_MODULES = {
    "CsvSink": "tables.rows",
    "JsonlSink": "jsonl",
    "MqttSink": "mqtt",
    "ParquetSink": "tables.rows",
    "VideoSink": "video.sink",
    "WindowSink": "window",
}

__all__ = [
    "CsvSink",
    "JsonlSink",
    "MqttSink",
    "ParquetSink",
    "Picture",
    "Sink",
    "VideoSink",
    "WindowSink",
    "line_from_result",
]

if not TYPE_CHECKING:  # type checkers would take any name for one of this package

    def __getattr__(name):
        """Import a kind of sink."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value
