"""From where on a file changes too much to be applied unseen. A value: the guard is pure, the configuration reads files."""

from __future__ import annotations

import msgspec


class Brake(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Mass-change brake (DESIGN, rule 8): held above max(`minimum`, `share` of the active plans of a type)."""

    share: float = 0.10
    minimum: int = 5
    row_count_share: float = 0.80
