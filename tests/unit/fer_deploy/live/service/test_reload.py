"""What SIGHUP changes in a running loop, and what it leaves."""

import os
import signal
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from fer_deploy import signals
from fer_deploy.errors import ConfigError
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.service import reload as reload_module
from fer_deploy.live.service.reload import Reload, differences, merged

RUNNING = {"source": "synthetic", "output": {"display": False}, "detection": {"detector": "haar"}}


def config(**changes):
    return LiveConfig.model_validate(RUNNING | changes)


class FakePipeline:
    def __init__(self):
        self.calls = []

    def set_config(self, pipeline, detectors, made_with):
        self.calls.append((pipeline, detectors, made_with))


@pytest.fixture
def reloaded(monkeypatch):
    """Reload to these configs, one after the other; return the pipeline's calls and the lines for the user."""
    monkeypatch.setattr(reload_module, "build_detectors", lambda detection: ("detectors of", detection))

    def run(*wanted, size=(640, 360)):
        configs, said, pipeline = list(wanted), [], FakePipeline()

        def load():
            found = configs.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        work = Reload(load, config(), on_message=said.append)
        for _ in wanted:
            work.request()
        supervision = SimpleNamespace(reloading=nullcontext)
        with work.serving(pipeline, [SimpleNamespace(name="camera 0", first_size=size)], supervision):
            pass
        assert configs == []
        return pipeline.calls, said

    return run


def test_safe_settings_change_and_are_told(reloaded):
    people = {"smoothing_s": 0.5, "hysteresis": 0.3, "unsure_below": 0.6}
    calls, said = reloaded(config(pipeline={"detect_every": 3, "people": people, "crop": {"scale": 1.3}}))
    ((pipeline, detectors, made_with),) = calls
    assert (pipeline.detect_every, pipeline.people.smoothing_s, pipeline.crop.scale) == (3, 0.5, 1.3)
    assert detectors is None  # the same detection: the detectors stay
    assert made_with == {"detector": "Haar"}
    assert said == [
        "config reloaded: pipeline.detect_every auto -> 3; pipeline.people.smoothing_s 0.25 -> 0.5; "
        "pipeline.people.hysteresis 0.2 -> 0.3; pipeline.people.unsure_below none -> 0.6; "
        "pipeline.crop.scale 1.15 -> 1.3"
    ]


def test_a_correction_is_told_and_its_end_too(reloaded):
    calls, _ = reloaded(config(pipeline={"people": {"baseline": "running"}}), config())
    assert [made_with.get("correction") for _, _, made_with in calls] == ["baseline running, at most 2", "none"]


def test_settings_that_the_run_refuses_change_nothing(reloaded, caplog, monkeypatch):
    refusal = ConfigError("cannot read the baseline calm.csv. Fix: another")
    monkeypatch.setattr(FakePipeline, "set_config", lambda *args: (_ for _ in ()).throw(refusal))
    calls, said = reloaded(config(pipeline={"people": {"baseline": "calm.csv"}}))
    assert (calls, said) == ([], [])
    assert "the run goes on with its settings: cannot read the baseline calm.csv" in caplog.text


def test_other_detection_gets_new_detectors(reloaded):
    wanted = config(detection={"detector": "haar", "roi": [0, 0, 0.5, 1], "min_face": 80})
    calls, said = reloaded(wanted)
    assert calls[0][1] == ("detectors of", wanted.detection)
    assert said == ["config reloaded: detection.min_face none -> 80; detection.roi none -> 0.0,0.0,0.5,1.0"]


def test_the_rest_is_refused_by_name_and_the_safe_part_still_applies(reloaded, caplog):
    wanted = config(
        source="rtsp://bob:geheim@cam",
        output={"display": False, "serve": "8080", "serve_token": "geheim-geheim"},
        pipeline={"workers": 3, "detect_every": 2},
    )
    calls, said = reloaded(wanted)
    assert (calls[0][0].detect_every, calls[0][0].workers) == (2, None)
    assert said == ["config reloaded: pipeline.detect_every auto -> 2"]
    assert caplog.messages == [
        "the config has another source, pipeline.workers, output.serve, output.serve_token; the run keeps its own. "
        "Fix: restart it"
    ]
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(
    ("wanted", "size", "said"),
    [
        (ConfigError("live.yaml is not valid YAML"), (640, 360), "live.yaml is not valid YAML"),
        (
            config(detection={"detector": "haar", "roi": [2000, 0, 3000, 100]}),
            (640, 360),
            "the region 2000,0,3000,100 has no pixel in a frame of 640x360. Fix: a --roi inside the frame",
        ),
        (
            config(detection={"detector": "haar", "roi": [0, 0, 100, 100]}),
            None,
            "the region is in pixels, and camera 0 has delivered no frame to compare it with",
        ),
    ],
)
def test_a_config_that_cannot_be_used_changes_nothing_and_the_next_one_does(wanted, size, said, reloaded, caplog):
    good = config(pipeline={"detect_every": 2})
    calls, told = reloaded(wanted, good, size=size)
    assert len(calls) == 1
    assert told == ["config reloaded: pipeline.detect_every auto -> 2"]
    (message,) = caplog.messages
    assert message.startswith(f"the config was not reloaded, and the run goes on with its settings: {said}")


def test_each_reload_is_compared_with_the_one_before(reloaded):
    twice = config(pipeline={"detect_every": 2})
    _, said = reloaded(twice, twice, config())
    assert said == [
        "config reloaded: pipeline.detect_every auto -> 2",
        "config reloaded: nothing that can change in a run has changed",
        "config reloaded: pipeline.detect_every 2 -> auto",
    ]


def test_every_setting_is_either_reloadable_or_refused():
    wanted = config(
        source="0", device="cpu", realtime=True, stream={"keep_trying": True}, pipeline={"max_frames": 9, "workers": 2}
    )
    assert differences(config(), merged(config(), wanted)) == []
    left = {key for key, _, _ in differences(merged(config(), wanted), wanted)}
    assert left == {"source", "device", "realtime", "stream.keep_trying", "pipeline.max_frames", "pipeline.workers"}


@pytest.fixture
def installed(monkeypatch):
    before = {number: signal.getsignal(number) for number in signals.NUMBERS}
    monkeypatch.setattr(signals, "_now", signals._now)  # restored afterwards: `install` makes a new one
    signals.install(is_regular=True)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sighup_asks_for_a_reload_in_its_block(installed, monkeypatch):
    asked = []
    with signals.held(), signals.reloaded_by(lambda: asked.append(True)):
        signals.on_stop(lambda: pytest.fail("it stopped"))
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
    assert (len(asked), signals.came()) == (3, ())


def test_a_closed_terminal_still_ends_the_run(installed, monkeypatch):
    reading, writing = os.pipe()  # no terminal any more
    monkeypatch.setattr(signals._now, "terminals", [os.dup(reading)])
    stopped = []
    with signals.held(), signals.reloaded_by(lambda: pytest.fail("it reloaded")):
        signals.on_stop(lambda: stopped.append(True))
        os.kill(os.getpid(), signal.SIGHUP)
    assert (stopped, signals.came()) == ([True], (signal.SIGHUP,))
    for handle in (reading, writing, *signals._now.terminals):
        os.close(handle)
