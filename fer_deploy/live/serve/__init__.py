"""The live picture, everyone's emotions and the loop's health as a web page, and for Prometheus."""

from fer_deploy.live.serve.sink import ServeSink

__all__ = ["ServeSink"]
