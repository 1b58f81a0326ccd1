"""How well each authority's people match PDS, as its answers tell it: the newest rate, and those of the weeks before.

Pure: RATES in, values out. Nothing is told that was counted after the business date: a night that is run again for an earlier
day must not speak of days to come.
"""

from __future__ import annotations

from datetime import date

import msgspec
import pyarrow as pa

from cpis_batch.engine import query
from cpis_batch.intake.acknowledge import Match, Rated

TREND_WEEKS = 12  # of rates that an answer shows


def matches(rates: pa.Table, business_date: date) -> dict[str, Match]:
    """The newest rate of each LA in RATES (demographics.rate) by its code, with the last one of each week before."""
    newest = query(
        """
        SELECT * FROM rates WHERE counted_on <= $on
        QUALIFY counted_on = max(counted_on) OVER (PARTITION BY la_code)
        """,
        {"rates": rates},
        {"on": business_date},
    )
    weekly = query(
        """
        SELECT la_code, counted_on, rate FROM rates WHERE rate IS NOT NULL AND counted_on BETWEEN $on - $days + 1 AND $on
        QUALIFY counted_on = max(counted_on) OVER (PARTITION BY la_code, date_trunc('week', counted_on))
        ORDER BY la_code, counted_on
        """,
        {"rates": rates},
        {"on": business_date, "days": TREND_WEEKS * 7},
    )
    trends: dict[str, list[Rated]] = {}
    for row in weekly.to_pylist():
        trends.setdefault(row["la_code"], []).append(Rated(row["counted_on"], row["rate"]))
    return {row["la_code"]: msgspec.convert(row | {"trend": trends.get(row["la_code"], [])}, Match) for row in newest.to_pylist()}
