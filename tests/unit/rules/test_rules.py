"""The rules as a whole: what each must have, and that none quotes a value."""

import re

from cpis_batch.intake import file_facts, findings
from cpis_batch.intake.rules import ALL, BY_CODE, FILE_RULES, ROW_RULES, Scope, columns
from cpis_batch.spec import table_schema
from cpis_batch.vocabulary import PlanType, Severity
from tests.builders import TODAY
from tests.extracts import d, extract, read_extract


def test_every_code_is_used_once_here_and_for_the_findings():
    codes = [rule.code for rule in ALL] + [finding.code for finding in findings.ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("CPB-[0-9]{3}", code) for code in codes)


def test_every_rule_tells_a_cause_and_a_cure_in_sentences():
    for rule in ALL:
        assert rule.cause.endswith("."), rule.code
        assert rule.cure.endswith("."), rule.code


def test_a_rule_speaks_of_fields_of_the_specification():
    known = {name for part in ("header", "detail", "trailer") for name in table_schema("la-extract", "1.0", part).names}
    assert {field for rule in ALL for field in rule.fields} <= known


def test_a_row_is_kept_out_for_no_field_that_is_merely_required_or_optional():
    obligation = {field.name: field.obligation for field in table_schema("la-extract", "1.0", "detail").fields}
    errors = {field for rule in ROW_RULES if rule.severity is Severity.ERROR for field in rule.fields}
    assert {field for field in errors if obligation[field] != "Mandatory"} == set()


def test_what_a_rule_is_given_is_a_column():
    read = read_extract(extract(d()))
    assert {rule.given for rule in ROW_RULES} - {""} <= set(columns.typed(read.rows, TODAY).column_names)
    assert {rule.given for rule in FILE_RULES} - {""} <= set(file_facts.facts(read))


def test_the_specification_knows_the_plan_types_of_the_vocabulary():
    constraint = next(
        field for field in table_schema("la-extract", "1.0", "detail").fields if field.name == "plan_type"
    ).constraints
    assert constraint.enum == tuple(PlanType)


def test_only_rules_of_the_file_give_it_an_outcome():
    default = BY_CODE["CPB-301"].outcome
    assert all(rule.outcome == default for rule in ALL if rule.scope is Scope.ROW)
