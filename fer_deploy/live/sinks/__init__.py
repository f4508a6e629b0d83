"""Sinks: the outputs of the live loop. Packages of an extra are imported only when their sink is opened."""

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.jsonl import JsonlSink
from fer_deploy.live.sinks.mqtt import MqttSink
from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.live.sinks.tables.rows import CsvSink, ParquetSink
from fer_deploy.live.sinks.video.sink import VideoSink
from fer_deploy.live.sinks.window import WindowSink

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
