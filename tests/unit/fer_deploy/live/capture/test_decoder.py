"""VideoDecoder: pixels as FFmpeg's own converter gives them, whatever the shortcut."""

import av
import numpy as np
import pytest

from fer_deploy.live.capture.decoder import VideoDecoder


def write_gif(path, pictures):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb8"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="rgb8")))
        container.mux(stream.encode())


@pytest.mark.parametrize("width", [64, 61])  # 61: rows are padded
def test_gif_as_swscale_converts_it(tmp_path, width):
    path = tmp_path / "a.gif"
    rng = np.random.default_rng(0)
    write_gif(path, [rng.integers(0, 256, (40, width, 3)).astype(np.uint8) for _ in range(3)])
    with av.open(str(path)) as container:
        wanted = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    decoder = VideoDecoder(str(path))
    pictures = [picture for picture in decoder.pictures() if picture is not None]
    assert {picture.format.name for picture in pictures} == {"bgra"}
    found = [decoder.bgr_from_picture(picture) for picture in pictures]
    decoder.close()
    assert len(found) == len(wanted) == 3
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.ptp(ours) > 100
        np.testing.assert_array_equal(ours, theirs)
