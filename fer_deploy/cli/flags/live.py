"""The flags of fer-deploy live."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, Command, option

_INPUT, _OUTPUT, _EVENTS = "Input", "Output", "Events"


class SourceType(click.ParamType[str]):
    """The text of a source; completion offers files and `synthetic`."""

    name = "source"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Return the completions."""
        if incomplete and "synthetic".startswith(incomplete):
            return [CompletionItem("synthetic")]
        return [CompletionItem(incomplete, type="file")]


anonymize = option(
    "--anonymize",
    type=click.Choice(["blur", "pixelate", "box"]),
    default_text="faces are shown",
    section=_OUTPUT,
    help="Cover all faces that were found in every picture that is written or shown.",
)


@click.command(
    "live",
    cls=Command,
    examples=[
        ("the first camera, in a window; q, Esc or Ctrl-C ends it", "fer-deploy live"),
        ("annotate a recording", "fer-deploy live --source clip.mp4 --record annotated.mp4 --no-display"),
        ("one JSON object for each frame", "fer-deploy live --source clip.mp4 --jsonl - --no-display"),
        (
            "a network camera on a web page at http://127.0.0.1:8080",
            "fer-deploy live --source rtsp://camera/1 --serve 8080 --no-display",
        ),
        (
            "note when the film runs, with key 1",
            "fer-deploy live --record session.mp4 --csv session.csv --event film",
        ),
        ("two cameras share one model", "fer-deploy live --source 0 --source 1"),
        ("drawn faces: is everything installed?", "fer-deploy live --source synthetic --max-frames 100 --no-display"),
    ],
)
@option(
    "--source",
    multiple=True,
    type=SourceType(),
    metavar="SOURCE",
    default_text="0",
    section=_INPUT,
    help="Camera number, video file, GIF, picture, folder of pictures, address (rtsp://, http://, https://), "
    "- for video from standard input (a pipe counts as live), raw:WxH[@FPS][:bgr24|gray|yuv420p] for raw frames "
    "from there, or synthetic. #N behind a file or an address reads its stream N. Repeat it for several sources: "
    "all share one model.",
)
@option(
    "--realtime",
    is_flag=True,
    default=None,
    section=_INPUT,
    help="Play recordings at their own speed, as a camera would.",
)
@option("--keep-trying", is_flag=True, default=None, section=_INPUT, help="Wait for a source that is not there yet.")
@option("--max-frames", type=int, metavar="N", default_text="all", section=_INPUT, help="End after this many frames.")
@shared_flags.engine_options
@shared_flags.analysis_options
@option("--record", type=FILE, metavar="FILE", section=_OUTPUT, help="Write the annotated video: .mp4, .mkv or .avi.")
@shared_flags.video_codec("--record", formerly=("--record-codec",))
@anonymize
@option(
    "--jsonl",
    type=FILE,
    metavar="FILE",
    section=_OUTPUT,
    help="Write one JSON object for each frame; - for standard output.",
)
@option(
    "--csv",
    type=FILE,
    metavar="FILE",
    section=_OUTPUT,
    help="Write one row for each face, and one for each frame to NAME.frames.csv.",
)
@option("--parquet", type=FILE, metavar="FILE", section=_OUTPUT, help="As --csv, in Parquet; needs the extra [table].")
@option(
    "--mqtt",
    metavar="URL",
    section=_OUTPUT,
    help="Publish one message for each frame at mqtt[s]://[user:password@]host[:port]/topic; needs the extra [mqtt].",
)
@option(
    "--serve",
    metavar="[HOST:]PORT",
    section=_OUTPUT,
    help="Serve a web page with picture and charts, metrics and health. A PORT alone is for this machine only; "
    "beyond it, as at 0.0.0.0:8080, the page asks for the token (--serve-token). Needs the extra [serve].",
)
@option(
    "--serve-token",
    metavar="TOKEN",
    envvar="FER_SERVE_TOKEN",
    show_envvar=True,
    section=_OUTPUT,
    default_text="generated and printed where other machines reach the page",
    help="What the page of --serve asks for.",
)
@option(
    "--display/--no-display",
    default=None,
    default_text="where there is a screen",
    section=_OUTPUT,
    help="Show a window.",
)
@option(
    "--events-out",
    type=FILE,
    metavar="FILE",
    default_text="with --event NAME.events.csv, beside the first of --csv, --parquet, --jsonl and --record",
    section=_EVENTS,
    help="Write the events that you note during the run, for fer-deploy analyze --events. In the window, keys 1 to 9 "
    "start and end an event, and space marks a moment; programs use POST /events of --serve, or --mqtt.",
)
@option(
    "--event",
    multiple=True,
    metavar="LABEL",
    default_text="with --events-out event 1, event 2 and so on",
    section=_EVENTS,
    help="Label of the event of a key, from 1 on; repeat it for up to 9.",
)
@option("--verbose", is_flag=True, help="Print the latencies of all stages at the end, too.")
@shared_flags.json_flag("the statistics")
@shared_flags.config("configs/live.yaml")
def command(**flags: Any) -> None:
    """Recognize emotions on cameras, streams, files or folders.

    A live source keeps its newest frame, and the frames that it drops are counted. A recording loses no frame.
    """
    body("live")(**flags)
