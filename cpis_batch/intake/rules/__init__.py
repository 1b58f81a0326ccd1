"""The rules that a file and its rows are held to, family by family. What they mean stands in `rules list` and `rules show`."""

from __future__ import annotations

from cpis_batch.intake.rules import across, age, dates, header, names, nhs_number, plans, sender, shape, trailer
from cpis_batch.intake.rules.rule import Rule, Scope

_FAMILIES = (shape, header, sender, trailer, nhs_number, names, dates, plans, age)

FILE_RULES = tuple(rule for family in _FAMILIES for rule in family.RULES if rule.scope is Scope.FILE)
ROW_RULES = tuple(rule for family in _FAMILIES for rule in family.RULES if rule.scope is Scope.ROW)
ACROSS_RULES = across.RULES
ALL = tuple(sorted((*FILE_RULES, *ROW_RULES, *ACROSS_RULES), key=lambda rule: rule.code))
BY_CODE = {rule.code: rule for rule in ALL}

assert len(BY_CODE) == len(ALL), "two rules have one code"

__all__ = ["ACROSS_RULES", "ALL", "BY_CODE", "FILE_RULES", "ROW_RULES", "Rule", "Scope"]
