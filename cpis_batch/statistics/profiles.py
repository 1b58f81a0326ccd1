"""How counts are made safe to publish (FAULTS F55), by name.

`published` is the rule that is usual for counts of people in the NHS: 1 to 7 are not shown, the others are rounded to 5,
England's that are shown are not rounded; and what could be worked out of the rest is not shown either.
"""

from __future__ import annotations

from dataclasses import dataclass

from cpis_batch.errors import UsageFault


@dataclass(frozen=True, slots=True)
class Profile:
    """`most_hidden`: the greatest count that is not shown. `unit`: what the others are rounded to.

    `least_choices`: how many of the values 1 to `most_hidden` must remain possible for whoever knows all that is published.
    `public`: whether what is made with it may be published.
    """

    name: str
    most_hidden: int
    unit: int
    least_choices: int
    public: bool

    def rounded(self, count: int) -> int:
        """To the nearest unit; never to 0, which means that there is nobody."""
        return max(self.unit, self.unit * ((2 * count + self.unit) // (2 * self.unit))) if count else 0

    def could_be(self, shown: int) -> tuple[int, int]:
        """The least and the most that a shown, rounded count may stand for."""
        if shown == 0:
            return 0, 0
        half = (self.unit - 1) // 2
        return max(self.most_hidden + 1, shown - half), shown + half


PUBLISHED = Profile("published", most_hidden=7, unit=5, least_choices=5, public=True)
INTERNAL = Profile("internal", most_hidden=0, unit=1, least_choices=0, public=False)
PROFILES = {profile.name: profile for profile in (PUBLISHED, INTERNAL)}


def named(name: str) -> Profile:
    """The profile of that name. UsageFault where there is none."""
    if name not in PROFILES:
        raise UsageFault(f"There is no profile {name!r}.", f"These are: {', '.join(PROFILES)}.")
    return PROFILES[name]
