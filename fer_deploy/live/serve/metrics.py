"""Metrics: a snapshot of the loop in Prometheus's format, built at each scrape."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from fer_deploy.live.serve.health import Health
from fer_deploy.live.stats import LiveSnapshot, SourceSnapshot

_SOURCE_COUNTERS: tuple[tuple[str, str, Callable[[SourceSnapshot], int]], ...] = (
    ("captured_frames", "Frames that the source delivered.", lambda source: source.health.num_captured),
    ("dropped", "Frames dropped for newer ones.", lambda source: source.num_dropped),
    ("corrupt", "Frames or packets that could not be decoded.", lambda source: source.health.num_corrupt),
    ("reconnects", "Times the source came back after a failure.", lambda source: source.health.num_reconnects),
    ("stalls", "Times the source stopped delivering without an error.", lambda source: source.health.num_stalls),
    ("frozen", "Times the source repeated one picture for too long.", lambda source: source.health.num_frozen),
    ("size_changes", "Changes of resolution.", lambda source: source.health.num_size_changes),
    ("missing", "Frames that a file announced but did not contain.", lambda source: source.health.num_missing),
)
_QUANTILES = (("0.5", "p50_ms"), ("0.9", "p90_ms"), ("0.95", "p95_ms"), ("0.99", "p99_ms"))


@dataclass(frozen=True)
class PageCounts:
    """Counts of the server.

    Attributes:
        emotions: faces by the label shown, including "unsure" and "unreadable".
        num_viewers: pages open now.
        num_encoded: pictures compressed for them.
    """

    emotions: Mapping[str, int]
    num_viewers: int
    num_encoded: int


def exposition(snapshot: LiveSnapshot, health: Health, counts: PageCounts, *, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type: Prometheus's text, or OpenMetrics if `accept` asks for it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SnapshotCollector(snapshot, health, counts))
    try:
        encode, content_type = choose_encoder(accept)
    except Exception:  # noqa: BLE001 - a malformed version can raise any exception
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: LiveSnapshot, health: Health, counts: PageCounts) -> None:
        self._snapshot, self._health, self._counts = snapshot, health, counts

    def collect(self) -> Iterator[Metric]:
        for metric in self._metrics():
            metric.samples = [
                sample._replace(labels={name: _encodable(value) for name, value in sample.labels.items()})
                for sample in metric.samples
            ]
            yield metric

    def _metrics(self) -> Iterator[Metric]:
        yield from self._loop()
        yield from _sources(self._snapshot.sources)
        yield from self._sinks()
        yield from self._latencies()
        emotions = CounterMetricFamily("fer_live_emotions", "Faces by the emotion shown.", labels=["emotion"])
        for label, number in sorted(self._counts.emotions.items()):
            emotions.add_metric([label], number)
        yield emotions
        yield GaugeMetricFamily("fer_live_viewers", "Web pages open now.", value=self._counts.num_viewers)
        yield CounterMetricFamily(
            "fer_live_encoded_pictures", "Pictures compressed for web pages.", value=self._counts.num_encoded
        )

    def _loop(self) -> Iterator[Metric]:
        now = self._snapshot
        yield CounterMetricFamily("fer_live_frames", "Frames analyzed.", value=now.num_frames)
        yield CounterMetricFamily("fer_live_faces", "Faces in these frames.", value=now.num_faces)
        yield GaugeMetricFamily("fer_live_fps", "Frames analyzed a second, recently.", value=now.throughput_fps)
        yield GaugeMetricFamily("fer_live_run_seconds", "Seconds since the first frame.", value=now.seconds)
        yield GaugeMetricFamily("fer_live_detect_every", "Interval of the detector in frames.", now.detect_every)
        yield InfoMetricFamily("fer_live_run", "Engine and detector of the run.", value=dict(now.made_with))
        health = GaugeMetricFamily("fer_live_health", "1 for the current state of the loop.", labels=["state"])
        for state in Health:
            health.add_metric([state.value], state is self._health)
        yield health

    def _sinks(self) -> Iterator[Metric]:
        sinks = self._snapshot.sinks
        written = CounterMetricFamily("fer_live_sink_written", "Results that an output accepted.", labels=["sink"])
        dropped = CounterMetricFamily("fer_live_sink_dropped", "Results that an output missed.", labels=["sink"])
        failed = GaugeMetricFamily("fer_live_sink_failed", "1 if an output has failed.", labels=["sink"])
        for name, sink in zip(_distinct(sink.name for sink in sinks), sinks, strict=True):
            written.add_metric([name], sink.num_written + sink.num_lost)
            dropped.add_metric([name], sink.num_dropped)
            failed.add_metric([name], bool(sink.failure))
        yield from (written, dropped, failed)

    def _latencies(self) -> Iterator[Metric]:
        latency = Metric("fer_live_latency_seconds", "Duration of a stage; total is capture to analysis.", "summary")
        busy = GaugeMetricFamily("fer_live_stage_busy_ratio", "Share of the run that a stage took.", labels=["stage"])
        for row in self._snapshot.latencies:
            busy.add_metric([row.stage], row.busy)
            for quantile, field in _QUANTILES:
                labels = {"stage": row.stage, "quantile": quantile}
                latency.add_sample(latency.name, labels, getattr(row, field) / 1000)
        yield from (latency, busy)


def _sources(sources: tuple[SourceSnapshot, ...]) -> Iterator[Metric]:
    names = _distinct(source.name for source in sources)
    up = GaugeMetricFamily("fer_live_source_up", "1 while the source delivers.", labels=["source"])
    for name, source in zip(names, sources, strict=True):
        up.add_metric([name], source.health.state == "running")
    yield up
    for metric, text, count_of in _SOURCE_COUNTERS:
        family = CounterMetricFamily(f"fer_live_{metric}", text, labels=["source"])
        for name, source in zip(names, sources, strict=True):
            family.add_metric([name], count_of(source))
        yield family


def _distinct(names: Iterable[str]) -> list[str]:
    """Return the names, a repeated one with its index appended: two samples with equal labels are an error."""
    distinct: list[str] = []
    for place, name in enumerate(map(_encodable, names)):
        own = name
        while own in distinct:
            own = f"{own} #{place}"
        distinct.append(own)
    return distinct


def _encodable(text: str) -> str:
    r"""Return a text that UTF-8 can encode: other bytes of a file name are shown like \udce9."""
    return text.encode("utf-8", "backslashreplace").decode()
