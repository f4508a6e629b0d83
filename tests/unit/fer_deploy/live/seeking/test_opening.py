"""Whatever the format, a reader that begins in the middle gives what a sequential one gives."""

import pytest
from cases.media_files import write_film
from unit.fer_deploy.live.seeking.films import (
    B_FRAMES,
    FILMS,
    IN_ORDER,
    NUM,
    SIZE,
    as_transport_stream,
    read,
    read_file,
    scenes,
)

from fer_deploy.live.seeking.opening import open_at
from fer_deploy.live.seeking.packet_index import PacketIndex, index_of_file
from fer_deploy.live.seeking.position import SeekFailed
from fer_deploy.live.sources.video import VideoSource

PLACES = (1, 9, 10, 11, 19, 20, 21, 33)
"""Around keyframes, and between them."""


@pytest.mark.parametrize("name", FILMS)
def test_equals_a_sequential_read(name, tmp_path):
    path = FILMS[name](tmp_path)
    whole, index = read_file(path), index_of_file(path)
    ways = set()
    for number in PLACES:
        opened = open_at(path, whole.positions[number], index)
        found = read(opened.source)
        ways.add(opened.way)
        places = [(frame.index, frame.time_s, frame.size) for frame in found.frames]
        assert places == [(frame.index, frame.time_s, frame.size) for frame in whole.frames[number:]]
        pairs = zip(found.frames, whole.frames[number:], strict=True)
        assert all((one.frame_bgr == other.frame_bgr).all() for one, other in pairs)
        assert found.positions == whole.positions[number:]
        assert found.health == whole.health
        if opened.way == "decoded" and name in IN_ORDER:
            assert IN_ORDER[name] in opened.why
    assert ways == ({"decoded"} if name in IN_ORDER else {"sought", "decoded"} if "damaged" in name else {"sought"})


@pytest.mark.parametrize("name", [name for name in FILMS if name not in IN_ORDER and not name.startswith("joined")])
def test_predicted_positions(name, tmp_path):
    """Every packet gives a frame, or a prediction behind the one that gives none is not that of a decoder."""
    path = FILMS[name](tmp_path)
    whole, index = read_file(path), index_of_file(path)
    known = {"num_packets", "digest"}
    for number in PLACES:
        predicted = index.ahead(whole.positions[0], number, size=whole.frames[0].size)
        assert predicted.is_predicted
        found = whole.positions[number]
        is_true = predicted.model_dump(exclude=known) == found.model_dump(exclude=known)
        assert is_true == (whole.health.num_corrupt == 0 or found.num_corrupt == 0)
        again = index.ahead(found, NUM - 2 - number, size=whole.frames[0].size)
        assert again is None or again.index == NUM - 2
    assert index.ahead(whole.positions[0], NUM + 1, size=SIZE) is None
    for number in (0, NUM // 2):
        expected = [frame.time_s for frame in whole.frames[number:]]
        times = index.times_from(whole.positions[number]).tolist()
        assert times == expected or (whole.health.num_corrupt and set(expected) <= set(times))


def test_a_predicted_position_is_opened_and_then_known(tmp_path):
    path = FILMS["open GOP"](tmp_path)
    whole, index = read_file(path), index_of_file(path)
    opened = open_at(path, index.ahead(whole.positions[0], 25, size=SIZE), index, decodes=False)
    assert read(opened.source).positions == whole.positions[25:]


class TestProof:
    def test_another_frame_is_not_taken(self, tmp_path):
        """Every keyframe is tried, then the whole is decoded, and the caller compares."""
        path = FILMS["MPEG-TS"](tmp_path)
        whole, index = read_file(path), index_of_file(path)
        wrong = whole.positions[25].model_copy(update={"digest": "0" * 64})
        opened = open_at(path, wrong, index)
        assert (opened.way, opened.why) == ("decoded", f"{path} has another frame 25 than before.")
        assert read(opened.source).positions == whole.positions[25:]
        with pytest.raises(SeekFailed, match=r"cannot be read from frame 25: .* another frame 25 than before"):
            open_at(path, wrong, index, decodes=False)

    def test_another_packet_is_not_taken(self, tmp_path):
        path = FILMS["open GOP"](tmp_path)
        whole, index = read_file(path), index_of_file(path)
        wrong = whole.positions[25].model_copy(update={"num_packets": 3})
        assert "after another packet than before" in open_at(path, wrong, index).why

    def test_frames_that_only_an_earlier_keyframe_gives(self, tmp_path, monkeypatch):
        """As after a keyframe that is none; the one before leads to the frame."""
        path = FILMS["open GOP"](tmp_path)
        whole, index = read_file(path), index_of_file(path)
        real, tried = PacketIndex.keyframes_before, []
        begin = PacketIndex.begin
        monkeypatch.setattr(PacketIndex, "begin", lambda *args, **how: (tried.append(args[2]), begin(*args, **how))[1])
        monkeypatch.setattr(PacketIndex, "keyframes_before", lambda *args, **how: iter([22, *real(*args, **how)]))
        opened = open_at(path, whole.positions[25], index)
        assert read(opened.source).positions == whole.positions[25:]
        assert (opened.way, len(tried), tried[0]) == ("sought", 2, 22)
        assert opened.why

    def test_containers_that_cannot_seek_are_skipped_through(self, tmp_path, monkeypatch):
        path = FILMS["MPEG-TS"](tmp_path)
        whole, index = read_file(path), index_of_file(path)
        real = PacketIndex.begin

        def begin(self, decoder, packet, *, by_seeking):
            if by_seeking:
                raise OSError("Illegal seek")
            real(self, decoder, packet, by_seeking=False)

        monkeypatch.setattr(PacketIndex, "begin", begin)
        opened = open_at(path, whole.positions[25], index)
        assert opened.way == "skipped"
        assert "Illegal seek" in opened.why
        assert read(opened.source).positions == whole.positions[25:]

    def test_another_file(self, tmp_path):
        path = FILMS["MPEG-TS"](tmp_path)
        whole, index = read_file(path), index_of_file(path)
        write_film(tmp_path / "open.mp4", scenes(NUM, SIZE)[::-1], options=B_FRAMES)
        as_transport_stream(tmp_path / "open.mp4")
        opened = open_at(path, whole.positions[25], index)
        assert opened.way == "decoded"
        opened.source.close()

    def test_a_file_that_is_shorter(self, tmp_path):
        path = FILMS["raw H.264"](tmp_path)
        whole = read_file(path)
        beyond = whole.positions[-1].model_copy(update={"index": NUM + 3})
        with pytest.raises(Exception, match=rf"ends at frame {NUM}, but {NUM + 3} frames could be decoded before.*Fix"):
            open_at(path, beyond, None)


def test_only_the_frames_after_a_keyframe_are_decoded(tmp_path, monkeypatch):
    path = FILMS["open GOP"](tmp_path)
    whole, index = read_file(path), index_of_file(path)
    numbers, pictures = [], VideoSource._pictures

    def watched(self):
        for one in pictures(self):
            numbers.append(one.num_packets)
            yield one

    monkeypatch.setattr(VideoSource, "_pictures", watched)
    opened = open_at(path, whole.positions[36], index)
    assert len(read(opened.source).frames) == NUM - 36
    assert len(numbers) < 15


def test_stopped_while_it_decodes(tmp_path):
    path = FILMS["GIF"](tmp_path)
    assert open_at(path, read_file(path).positions[9], None, on_skip=lambda index: index < 5) is None
