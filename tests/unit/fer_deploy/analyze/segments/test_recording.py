import pytest
from integration.analyze_videos import transport_stream, write_squares

from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.errors import StreamError
from fer_deploy.live.capture.decoder import VideoDecoder
from fer_deploy.live.seeking.packet_index import index_of_file
from fer_deploy.live.sources.video import open_file

NUM = 12


@pytest.fixture
def video(tmp_path):
    """A stream whose pictures grow after six frames."""
    parts = [write_squares(tmp_path / f"{i}.mp4", NUM // 2, size=size) for i, size in enumerate([(128, 96), (160, 96)])]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(transport_stream(part).read_bytes() for part in parts))
    return path


def frames_from(recording):
    return list(iter(recording.next_frame, None))


@pytest.mark.parametrize("num", [0, 1, NUM // 2 + 2, NUM])
@pytest.mark.parametrize("has_peeked", [False, True])
def test_what_follows_skipped_frames_is_what_it_would_be(video, num, has_peeked):
    whole, resumed = Recording(open_file(video)), Recording(open_file(video))
    expected = frames_from(whole)
    assert len(expected) == NUM
    if has_peeked:
        resumed.peek()
    assert resumed.skip(num, on_skip=lambda index: True)
    got = frames_from(resumed)
    assert [(frame.index, frame.time_s) for frame in got] == [(frame.index, frame.time_s) for frame in expected[num:]]
    assert all((a.frame_bgr == b.frame_bgr).all() for a, b in zip(got, expected[num:], strict=True))
    assert (resumed.num_taken, resumed.source.health) == (whole.num_taken, whole.source.health)
    assert whole.source.health.num_size_changes == 1
    for recording in (whole, resumed):
        recording.close()


@pytest.mark.parametrize("num", [1, NUM // 2, NUM // 2 + 2, NUM - 1])
@pytest.mark.parametrize("has_index", [True, False])
def test_what_follows_a_position_is_what_it_would_be(video, num, has_index):
    whole, resumed = Recording(open_file(video)), Recording(open_file(video))
    for _ in range(num):
        whole.next_frame()
    reached = whole.reached()
    resumed.peek()
    index = index_of_file(video) if has_index else None
    assert resumed.skip_to(reached.position, lambda: index, on_skip=lambda index: True)
    assert resumed.reached() == reached
    assert (reached.num_taken, reached.is_end, reached.num_size_changes) == (num, False, num > NUM // 2)
    expected, got = frames_from(whole), frames_from(resumed)
    assert [(frame.index, frame.time_s) for frame in got] == [(frame.index, frame.time_s) for frame in expected]
    assert all((a.frame_bgr == b.frame_bgr).all() for a, b in zip(got, expected, strict=True))
    assert resumed.reached() == whole.reached()
    assert (whole.reached().is_end, whole.reached().position, whole.reached().num_taken) == (True, None, NUM)
    for recording in (whole, resumed):
        recording.close()


def test_at_a_position_already(video):
    recording = Recording(open_file(video))
    recording.next_frame()
    source = recording.source
    assert recording.skip_to(recording.reached().position, lambda: None, on_skip=lambda index: False)
    assert recording.source is source
    recording.close()


def test_looking_at_the_position_takes_nothing(video):
    recording = Recording(open_file(video))
    assert recording.reached() == recording.reached()
    assert [frame.index for frame in frames_from(recording)] == list(range(NUM))
    recording.close()


def test_skipped_pictures_are_not_converted(video, monkeypatch):
    converted = []
    convert = VideoDecoder.bgr_from_picture
    monkeypatch.setattr(VideoDecoder, "bgr_from_picture", lambda *args: converted.append(1) or convert(*args))
    recording = Recording(open_file(video))
    assert recording.skip(NUM - 2, on_skip=lambda index: True)
    assert converted == []
    assert len(frames_from(recording)) == len(converted) == 2
    recording.close()


def test_given_up(video):
    recording = Recording(open_file(video))
    assert not recording.skip(NUM, on_skip=lambda index: index < 3)
    assert recording.next_frame().index == 3
    recording.close()


def test_video_that_is_shorter_now(video):
    recording = Recording(open_file(video))
    with pytest.raises(
        StreamError, match=rf"ends at frame {NUM}, but {NUM + 1} frames could be decoded before\. Fix: "
    ):
        recording.skip(NUM + 1, on_skip=lambda index: True)
    recording.close()
