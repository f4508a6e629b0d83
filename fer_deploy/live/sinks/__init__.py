"""Where results go. Outputs that need a package of an extra are opened by `optional`, which says when it is missing."""

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.jsonl import JsonlSink
from fer_deploy.live.sinks.result_json import json_from_result, line_from_result
from fer_deploy.live.sinks.video import VideoSink

__all__ = ["JsonlSink", "Picture", "Sink", "VideoSink", "json_from_result", "line_from_result"]
