"""SourceConfig: time limits and reconnection of sources."""

from typing import Literal

from pydantic import Field

from fer_deploy.settings import Settings


class SourceConfig(Settings):
    """Settings for when a camera or stream counts as failed, and how it reconnects."""

    connect_s: float = Field(default=10.0, gt=0, le=600, description="seconds to wait for a camera or stream to open")
    stall_s: float = Field(default=5.0, gt=0, le=600, description="seconds without a frame that count as a failure")
    frozen_s: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="seconds of bit-identical frames that count as a failure; 0: never",
    )
    max_reconnects: int | None = Field(
        default=None, ge=0, description="failures in a row before it gives up; none: it tries forever"
    )
    keep_trying: bool = Field(
        default=False,
        description="wait for a source that is missing at the start instead of ending; the others start meanwhile. "
        "Every URL then counts as live",
    )
    rtsp_transport: Literal["tcp", "udp", "udp_multicast"] = Field(
        default="tcp", description="transport of RTSP; tcp loses no packets"
    )
