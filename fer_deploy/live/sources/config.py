"""SourceConfig: how patient sources are."""

from typing import Literal

from pydantic import Field

from fer_deploy.settings import Settings


class SourceConfig(Settings):
    """When a camera or stream counts as failed, and what follows."""

    connect_s: float = Field(default=10.0, gt=0, le=600, description="seconds to wait for a camera or stream to open")
    stall_s: float = Field(default=5.0, gt=0, le=600, description="seconds without a frame that count as a failure")
    frozen_s: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="seconds of one and the same picture, to the last bit, that count as a failure; 0: never",
    )
    max_reconnects: int | None = Field(
        default=None, ge=0, description="failures in a row before it gives up; none: it tries for ever"
    )
    keep_trying: bool = Field(
        default=False,
        description="wait for a source that is not there at the start, too, instead of ending; the others "
        "begin meanwhile. Every URL counts as live then",
    )
    rtsp_transport: Literal["tcp", "udp", "udp_multicast"] = Field(
        default="tcp", description="how RTSP sends pictures; tcp loses none of their parts"
    )
