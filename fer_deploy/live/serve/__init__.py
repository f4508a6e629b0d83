"""Web page with the live picture, people's emotions and the loop's health; metrics for Prometheus."""

from fer_deploy.live.serve.sink import ServeSink

__all__ = ["ServeSink"]
