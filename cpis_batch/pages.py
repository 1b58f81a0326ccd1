"""Pages for people: one look, escaped by default, whole in one file.

Every page of ours is made here. It loads nothing and runs nothing, and says so to the browser (a content security
policy that names the one style sheet by its digest), so that whatever a partner wrote into a name stays text. The
template may use, beside what Jinja2 has, `london` (an instant as England's clocks showed it, with GMT or BST, since
one hour of the year occurs twice), `day` (a date) and `number` (thousands apart).
"""

from __future__ import annotations

from base64 import b64encode
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cpis_batch.business_time import LONDON

_STYLE = "style.css"


def london(instant: datetime) -> str:
    """`25 October 2026, 01:30 BST`; the instant must have a zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    there = instant.astimezone(LONDON)
    return f"{day(there)}, {there:%H:%M} {there.tzname()}"


def day(value: date) -> str:
    """`25 October 2026`, whatever language the machine speaks."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def number(value: int) -> str:
    """`14,300`."""
    return f"{value:,}"


def style() -> str:
    """The style sheet that every page carries."""
    return files("cpis_batch").joinpath("templates", _STYLE).read_text("utf-8")


@cache
def environment() -> Environment:
    """What templates are made pages with. They extend base.html, and may bring a style and a policy of their own."""
    made = Environment(
        loader=PackageLoader("cpis_batch", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(london=london, day=day, number=number)
    # The style is ours and is not escaped: the browser takes its digest over the very characters.
    made.globals.update(
        style=Markup(style()),  # noqa: S704
        policy=f"default-src 'none'; style-src {digest(style())}; base-uri 'none'; form-action 'none'",
    )
    return made


def digest(text: str) -> str:
    """What a policy names an inline style or script by."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def page(template: str, **values: object) -> bytes:
    """The page `templates/<template>` (which extends base.html) with `values`, as UTF-8.

    A value that the template wants and is not given is an error, never an empty place.
    """
    return environment().get_template(template).render(values).encode()
