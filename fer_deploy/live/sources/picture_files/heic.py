"""Decode HEIC pictures, the format of phones, with FFmpeg, and assemble their tiles."""

import io
from collections.abc import Iterator

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import VideoDecoder, silence_ffmpeg
from fer_deploy.live.sources.picture_files.heic_tiles import Tiles, tiles_from_file
from fer_deploy.live.sources.stills import MAX_PIXELS, PictureBytes, StillFrame


class HeicStill:
    """The main picture of an opened HEIC file. It has the interface of `Still`."""

    num_frames = 1
    is_film = False

    def __init__(self, content: PictureBytes) -> None:
        """Read the header.

        Raises:
            StreamError: it is not a HEIC picture, or announces too many pixels.
        """
        self._data, self._name = content.data, content.name
        silence_ffmpeg()
        try:
            self._tiles = tiles_from_file(self._data)
        except Exception as err:
            raise self._refused(err) from err
        if self._tiles is not None and self._tiles.width * self._tiles.height > MAX_PIXELS:
            raise self._refused(ValueError(f"it announces more than {MAX_PIXELS // 10**6} million pixels"))

    def frames(self) -> Iterator[StillFrame]:
        """Decode the picture; raises StreamError if that fails."""
        try:
            pixels = _whole(self._data) if self._tiles is None else _from_tiles(self._data, self._tiles)
        except Exception as err:
            raise self._refused(err) from err
        yield StillFrame(pixels, 1.0)

    def _refused(self, err: Exception) -> StreamError:
        return StreamError(
            f"cannot decode {self._name} as a picture: {err or type(err).__name__}. Fix: convert it to JPEG"
        )


def _whole(data: bytes) -> NDArray[np.uint8]:
    decoder = VideoDecoder(io.BytesIO(data))
    try:
        picture = next((one for one in decoder.pictures() if one is not None), None)
        if picture is None:
            raise ValueError("it is damaged")
        return np.ascontiguousarray(decoder.bgr_from_picture(picture))
    finally:
        decoder.close()


def _from_tiles(data: bytes, tiles: Tiles) -> NDArray[np.uint8]:
    decoded: dict[int, NDArray[np.uint8]] = {}
    wanted = frozenset(tiles.items)
    with av.open(io.BytesIO(data), "r") as container:
        streams = [stream for stream in container.streams.video if stream.id in wanted]
        for packet in container.demux(streams):
            stream = packet.stream
            if isinstance(stream, VideoStream):
                for picture in stream.codec_context.decode(packet):
                    decoded[stream.id] = np.asarray(picture.to_ndarray(format="bgr24"), dtype=np.uint8)
    missing = wanted.difference(decoded)
    if missing:
        raise ValueError(f"{len(missing)} of {len(wanted)} tiles are damaged")
    return tiles.assembled(decoded)
