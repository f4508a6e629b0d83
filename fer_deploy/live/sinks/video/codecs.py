"""Choose the encoder of a recording.

libx264 is under the GPL and H.264 under patents, so it is used only on request. The default plays in browsers and has
no such obligations. docs/licences.md lists the licences, docs/results.md the cost of each encoder.
"""

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from fer_deploy.errors import ConfigError
from fer_deploy.live.output_files import VideoCodec


class Encoding(NamedTuple):
    """Encoder and its options.

    Attributes:
        encoder: FFmpeg's name.
        options: constant quality, and the encoder's speed.
        is_yuv420p: it accepts yuv420p of the limited range, to which OpenCV converts; otherwise FFmpeg converts BGR.
    """

    encoder: str
    options: Mapping[str, str]
    is_yuv420p: bool = True


# At crf 28 VP9 has the PSNR of x264's ultrafast at crf 23, with files less than half as large. Without lag each frame
# is one packet, so a truncated file plays to its end.
_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "28", "lag-in-frames": "0", "auto-alt-ref": "0"}
_AV1 = {"preset": "12", "crf": "35", "svtav1-params": "lp=1:pred-struct=1"}
_CODECS: Final[Mapping[str, Encoding]] = {
    "vp9": Encoding("libvpx-vp9", _VP9),
    "av1": Encoding("libsvtav1", _AV1),
    "mpeg4": Encoding("mpeg4", {"qmin": "4", "qmax": "4"}),
    # ultrafast: superfast costs twice its time, veryfast thrice (benchmarks/outputs.py).
    "x264": Encoding("libx264", {"preset": "ultrafast", "crf": "23"}),
}
_BY_DEFAULT: Final = ("vp9", "av1", "mpeg4")
"""Order of preference; the first that this build of PyAV has is used. mpeg4 plays in players, but not in browsers."""
MOTION_JPEG: Final = Encoding("mjpeg", {"qmin": "3", "qmax": "3"}, is_yuv420p=False)


def choose_encoding(codec: VideoCodec = "auto") -> Encoding:
    """Return the encoding of that name, or for "auto" the first default that this build of PyAV has.

    Raises:
        ConfigError: this build has no such encoder.
    """
    wanted = _BY_DEFAULT if codec == "auto" else (codec,)
    for name in wanted:
        if _is_there(_CODECS[name].encoder):
            os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings to standard error otherwise
            return _CODECS[name]
    there = ", ".join(name for name, encoding in _CODECS.items() if _is_there(encoding.encoder)) or "none"
    encoders = " or ".join(_CODECS[name].encoder for name in wanted)
    raise ConfigError(
        f"cannot encode {codec}: this build of PyAV has no {encoders}; of the known codecs it has: {there}. "
        "Fix: another --video-codec, or PyAV from its wheel: pip install av"
    )


def _is_there(encoder: str) -> bool:
    try:
        return Codec(encoder, "w").name == encoder
    except UnknownCodecError:
        return False
