"""What a user does with a report in a browser."""

import time
from pathlib import Path

FPS, DURATION_S = 10, 4.0
NAME = 'film "A", <b>;.mp4'
KEYS = """(...pressed) => pressed.forEach((key) => (document.activeElement ?? document.body).dispatchEvent(
    new KeyboardEvent("keydown", { key: key.replace("shift+", ""), shiftKey: key.startsWith("shift+"),
      bubbles: true, cancelable: true })))"""


def place(page, selector, share):
    """Return a point of an element: its height's middle, at a share of its width."""
    left, top, width, height = page.value(
        f"""(() => {{ const box = document.querySelector('{selector}'); box.scrollIntoView({{ block: 'center' }});
        const place = box.getBoundingClientRect(); return [place.left, place.top, place.width, place.height]; }})()"""
    )
    return {"x": left + share * width, "y": top + height / 2}


def mouse(page, kind, point, clicks=1):
    held = int(kind == "mouseMoved")
    page.call("Input.dispatchMouseEvent", type=kind, **point, button="left", buttons=held, clickCount=clicks)


def drag(page, selector, start, end):
    first, last = place(page, selector, start), place(page, selector, end)
    mouse(page, "mousePressed", first)
    mouse(page, "mouseMoved", last)
    mouse(page, "mouseReleased", last)


def clock(page):
    return page.value("document.getElementById('clock').value")


def gray(page):
    """Return the gray level of the frame that the video shows."""
    page.wait_for("!document.getElementById('video').seeking")
    # Not from a canvas: a page from the disk may not read the pixels of a file.
    return page.value("Math.floor(document.getElementById('video').currentTime * 10)") * 5 + 40


def ticks(page):
    return page.value("[...document.querySelector('.axis').children].map((tick) => tick.textContent)")


def mark(page, kind, start, end):
    drag(page, ".plot", start / DURATION_S, start / DURATION_S)
    page.value(f"keys('{kind}')")
    drag(page, ".plot", end / DURATION_S, end / DURATION_S)
    page.value(f"keys('{kind}')")


def rows(page, table):
    cells = "[...row.querySelectorAll('input, select')].map((cell) => cell.value)"
    return page.value(f"[...document.querySelectorAll('#{table} tr')].slice(1).map((row) => {cells})")


def saved(page, button: str, path: Path) -> Path:
    """Press a button, and return the file that it saves, which is `path`."""
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(path.parent))
    page.value(f"document.querySelector('[data-do={button}]').click()")
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until, f"{path.name} was not saved: {list(path.parent.iterdir())}"
        time.sleep(0.02)
    return path
