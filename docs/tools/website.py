"""Build the documentation as a website in site/: README, docs/ and the pages that they link to.

    python docs/tools/website.py           # writes site/html; open site/html/index.html

The pages are copied into site/pages in the folders that they have here, so that every link that works on GitHub works
there too. Warnings are errors, and every link of the built pages must lead to a file, an anchor or another website.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).parents[2]
SITE = REPOSITORY / "site"
COPIED = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs/*.*",
    "weights/*.md",
    "weights/*.png",
    "benchmarks/codes/*.csv",
    "benchmarks/results/**/*.*",
    "configs/**/*.yaml",
    "deploy/*.*",
    "deploy/Dockerfile",
    "deploy/grafana/*.*",
    "examples/*.py",
)
_WARNING = re.compile(r"\b(warning|error)\b", re.IGNORECASE)


class _Page(HTMLParser):
    """The links and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what the tag links to, and what it is called."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            elif value and name in ("id", "name"):
                self.anchors.add(value)


def stage(pages: Path) -> None:
    """Copy everything that the site shows into an empty folder."""
    shutil.rmtree(pages, ignore_errors=True)
    for pattern in COPIED:
        for path in sorted(REPOSITORY.glob(pattern)):
            target = pages / path.relative_to(REPOSITORY)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def build() -> str:
    """Run zensical; return what it printed.

    Raises:
        SystemExit: the build failed or warned.
    """
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or _WARNING.search(said):
        raise SystemExit(f"the website was not built (exit code {done.returncode}):\n{said}")
    return said


def broken_links(html: Path) -> list[str]:
    """Return "page: link" for each link that leads nowhere."""
    pages = {path: _Page(path.read_text()) for path in sorted(html.rglob("*.html")) if path.name != "404.html"}
    return [f"{path.relative_to(html)}: {link}" for path in pages for link in _broken(path, html, pages)]


def _broken(path: Path, html: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    for link in pages[path].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = path
        if parts.path:
            base = html if parts.path.startswith("/") else path.parent
            target = (base / unquote(parts.path).lstrip("/")).resolve()
        if target.is_dir():
            target /= "index.html"
        anchor = unquote(parts.fragment)
        if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
            yield link


def main() -> int:
    """Return the exit code."""
    stage(SITE / "pages")
    build()
    if broken := broken_links(SITE / "html"):
        print("\n".join(["links that lead nowhere:", *broken]), file=sys.stderr)  # noqa: T201
        return 1
    print(f"{SITE / 'html' / 'index.html'}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
