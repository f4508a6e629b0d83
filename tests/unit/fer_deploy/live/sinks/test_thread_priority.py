"""An encoder that makes itself a real-time process is put back into its place."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_deploy.live.sinks.video.codecs import choose_encoding
from fer_deploy.live.sinks.video.encoder import VideoEncoder
from fer_deploy.live.sinks.video.thread_priority import priority_kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies of threads are Linux's")
may_be_real_time = pytest.mark.skipif(os.geteuid() != 0, reason="only root may have real-time priority")


def policies():
    return {os.sched_getscheduler(int(path.name)) for path in Path("/proc/self/task").iterdir()}


@may_be_real_time
def test_what_a_block_changes_is_undone():
    assert policies() == {os.SCHED_OTHER}
    with priority_kept():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
        assert os.SCHED_FIFO in policies()
    assert policies() == {os.SCHED_OTHER}


@may_be_real_time
def test_what_was_real_time_before_stays():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        with priority_kept():
            pass
        assert os.sched_getscheduler(0) == os.SCHED_FIFO
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.mark.parametrize("codec", ["av1", "vp9", "x264"])
def test_no_encoder_leaves_real_time_threads(tmp_path, codec):
    encoder = VideoEncoder(tmp_path / "a.mp4", size=(64, 64), fps=30, is_live=False, encoding=choose_encoding(codec))
    encoder.add(np.zeros((64, 64, 3), np.uint8), 0.0)
    assert policies() == {os.SCHED_OTHER}
    encoder.close()
    assert policies() == {os.SCHED_OTHER}
