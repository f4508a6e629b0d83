"""Open the sinks that the settings name."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from fer_deploy.live import sinks
from fer_deploy.live.config import OutputConfig
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.keys import KEYS_IN_WORDS
from fer_deploy.live.events.sink import EventSink
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint
from fer_deploy.live.output_files import video_paths
from fer_deploy.live.serve import ServeSink
from fer_deploy.live.sinks import Sink
from fer_deploy.live.sinks.window import why_no_screen
from fer_deploy.live.sources import Source
from fer_deploy.live.stats import LiveSnapshot


def open_sinks(
    config: OutputConfig,
    sources: Sequence[Source],
    labels: tuple[str, ...],
    snapshot: Callable[[], LiveSnapshot],
    *,
    is_corrected: bool = False,
    run: RunFingerprint | None = None,
    on_message: Callable[[str], None],
) -> list[Sink]:
    """Open the sinks of the settings; on failure all are closed again.

    Files are opened last, since opening replaces older files at once.

    Args:
        config: the settings.
        sources: the opened sources.
        labels: of the model.
        snapshot: returns the state of the loop, for the web page; not called before the loop runs.
        is_corrected: whether faces have a corrected emotion; see `TableSink`.
        run: for the tables; see `TableSink`.
        on_message: called with a line for the user: why there is no window, or the address of the page.

    Raises:
        FerDeployError: an output cannot be opened.
    """
    with ExitStack() as stack:
        opened: list[Sink] = []

        def add(sink: Sink) -> None:
            opened.append(stack.enter_context(sink))

        events = _open_events(config, len(sources), "" if run is None else run.run)
        if config.display:
            _add_window(add, sources, on_message, events)
        if config.serve is not None:
            page = ServeSink(config.serve, token=config.serve_token, snapshot=snapshot, labels=labels, events=events)
            add(page)
            on_message(f"page: {page.shown_url}")
        if config.mqtt is not None:
            add(sinks.MqttSink(config.mqtt, num_sources=len(sources), events=events))
        _add_files(add, config, sources, labels, is_corrected=is_corrected, run=run)
        if events is not None:
            add(EventSink(events, lambda number: sources[number].is_live is True))
        stack.pop_all()  # from here on the loop closes them
        return opened


def _open_events(config: OutputConfig, num_sources: int, run: str) -> EventLog | None:
    """Return the log of events; None if no file is written."""
    if config.events_file is None:
        return None
    # With one source, the times fit its own file and the recorded one alike, so none is named.
    videos = [""] * num_sources
    if num_sources > 1 and config.record is not None:
        videos = [path.name for path in video_paths(config.record, num_sources)]
    return EventLog(config.events_file, names=config.event, videos=videos, run=run)


def _add_window(
    add: Callable[[Sink], None],
    sources: Sequence[Source],
    on_message: Callable[[str], None],
    events: EventLog | None,
) -> None:
    reason = why_no_screen()
    if reason is None:
        is_live = any(source.is_live for source in sources)
        add(sinks.WindowSink("fer-deploy live", is_live=is_live, num_sources=len(sources), events=events))
        if events is not None:
            on_message(f"events: in the window, {KEYS_IN_WORDS}; they go to {events.path}")
    else:
        on_message(f"no window: {reason}; continuing without it. --no-display silences this")


def _add_files(
    add: Callable[[Sink], None],
    config: OutputConfig,
    sources: Sequence[Source],
    labels: tuple[str, ...],
    *,
    is_corrected: bool,
    run: RunFingerprint | None,
) -> None:
    if config.record is not None:
        # If another source is live, or may prove to be, results of a recording may be dropped, too. The video then
        # needs real timestamps: evenly spaced frames would play too fast.
        is_live = any(source.is_live is not False for source in sources)
        paths = video_paths(config.record, len(sources))
        for number, (source, path) in enumerate(zip(sources, paths, strict=True)):
            add(sinks.VideoSink(path, source.fps, is_live=is_live, source=number, codec=config.video_codec))
    if config.csv is not None:
        add(sinks.CsvSink(config.csv, labels, is_corrected=is_corrected, run=run))
    if config.parquet is not None:
        add(sinks.ParquetSink(config.parquet, labels, is_corrected=is_corrected, run=run))
    if config.jsonl is not None:
        add(sinks.JsonlSink(config.jsonl, num_sources=len(sources)))
