"""Make the README's recording, and pictures of the live page and of the report, from a clip whose licence allows it.

Pages and report need Chromium; without it only the recording is made.

python docs/tools/pictures.py --clip face-demographics-walking-and-pause.gif --yunet YUNET.onnx

Run it on a machine without other work: the pictures show frames per second, latency and dropped frames. The clip is
played forwards and backwards, so that it has no jump. The pictures have 256 colors to keep the files small.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from PIL import Image

DOCS: Final = Path(__file__).parents[1]
sys.path.insert(0, str(DOCS.parent / "tests"))
from unit.fer_deploy.live.serve.chromium import CHROMIUM, Chromium  # noqa: E402

PORT: Final = 8791
HISTORY_S: Final = 35
"""Longer than what the page shows."""
QUALITY: Final = 40
"""Of the WebP, 0 to 100."""
DESK, PHONE, REPORT = (1280, 800), (390, 844), (1280, 900)


def main() -> None:
    """Write docs/live.mp4, docs/live.webp and, with Chromium, live-page.png, live-page-phone.png and analyze.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clip", type=Path, required=True, help="a short clip; see docs/licences.md")
    parser.add_argument("--yunet", type=Path, required=True, help="YuNet's .onnx")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record(args.clip, args.yunet)
        if CHROMIUM is None:
            sys.stdout.write("no Chromium: live-page.png, live-page-phone.png and analyze.png stay as they are\n")
            return
        shoot_report(folder, args.clip.resolve(), args.yunet.resolve())
        shoot_page(folder, args.clip, args.yunet.resolve())


def record(clip: Path, yunet: Path) -> None:
    """Record the annotated clip as MP4, and as an animated WebP that the README shows."""
    video = DOCS / "live.mp4"
    command = [sys.executable, "-m", "fer_deploy", "live", "--source", clip, "--detector-model", yunet]
    subprocess.run([*map(str, command), "--record", str(video), "--no-display"], check=True)
    with av.open(video) as recording:
        rate = recording.streams.video[0].average_rate or Fraction(25)
        first, *others = [frame.to_image() for frame in recording.decode(video=0)]
    picture = video.with_suffix(".webp")
    first.save(picture, save_all=True, append_images=others, duration=round(1000 / rate), loop=0, quality=QUALITY)
    sys.stdout.write(f"docs/{picture.name}: {picture.stat().st_size:,} bytes\n")


def shoot_report(folder: Path, clip: Path, yunet: Path) -> None:
    """Analyze the clip and take a picture of its report."""
    command = [sys.executable, "-m", "fer_deploy", "analyze", clip, "--out", folder / "out", "--detector-model", yunet]
    subprocess.run([str(part) for part in command], check=True)
    with Chromium(profile_in(folder, "report")) as browser:
        browser.resize(*REPORT)
        browser.open((folder / "out" / clip.stem / "report.html").as_uri())
        browser.wait_for("document.getElementById('video').readyState >= 2")
        for key in "e", *["ArrowRight"] * 14, "e":
            browser.value(
                f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }}))"
            )
        browser.value("document.getElementById('ask').requestSubmit()")
        time.sleep(1)  # for the video's frame
        store(browser.screenshot(folder / "analyze.png"))


def shoot_page(folder: Path, clip: Path, yunet: Path) -> None:
    """Play the clip as a camera would, and take a picture of the page at a desk and on a phone."""
    played = there_and_back(clip, folder / "clip.mp4")
    source = ["--source", str(played), "--realtime", "--detector-model", str(yunet)]
    command = [sys.executable, "-m", "fer_deploy", "live", *source, "--serve", str(PORT), "--no-display"]
    with subprocess.Popen(command) as live:
        try:
            wait_for_page()
            with Chromium(profile_in(folder, "page")) as browser:
                browser.resize(*DESK)
                browser.open(f"http://127.0.0.1:{PORT}")
                browser.wait_for("document.querySelectorAll('.card').length > 0")
                time.sleep(HISTORY_S)
                store(browser.screenshot(folder / "live-page.png"))
                browser.resize(*PHONE, mobile=True)
                time.sleep(2)
                store(browser.screenshot(folder / "live-page-phone.png"))
        finally:
            live.terminate()


def there_and_back(clip: Path, path: Path) -> Path:
    """Write the clip forwards and backwards, twice as long as the page is watched."""
    with av.open(clip) as recording:
        rate = recording.streams.video[0].average_rate or Fraction(25)
        pictures = [frame.to_ndarray(format="rgb24") for frame in recording.decode(video=0)]
    loop = pictures + pictures[::-1]
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libvpx-vp9", rate=rate.limit_denominator(1000))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "8"}
        for _ in range(1 + int(2 * HISTORY_S * rate / len(loop))):
            for picture in loop:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def wait_for_page() -> None:
    """Wait until the page answers, at most a minute."""
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=2)
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the page does not answer")


def profile_in(folder: Path, name: str) -> Path:
    """Make a folder for the browser's profile."""
    (folder / name).mkdir()
    return folder / name


def store(picture: Path) -> None:
    """Write a picture of 256 colors into docs/, the rare ones of the legend among them."""
    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE)
    few.save(DOCS / picture.name, optimize=True)
    sys.stdout.write(f"docs/{picture.name}: {(DOCS / picture.name).stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
