"""`rules`: what files and rows are held to, and what can be said of a file beside that."""

from __future__ import annotations

import click

from cpis_batch.cli.context import Context, table


@click.group()
def rules() -> None:
    """The rules that rows and files are held to."""


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """Every code with its severity, its fields and its cause; those of envelope and sequence too."""
    from cpis_batch.intake import findings
    from cpis_batch.intake.rules import ALL

    told = [
        {
            "code": rule.code,
            "scope": rule.scope,
            "severity": rule.severity,
            "fields": rule.fields,
            "cause": rule.cause,
            "cure": rule.cure,
        }
        for rule in ALL
    ]
    found = [
        {"code": finding.code, "scope": "FINDING", "severity": None, "fields": (), "cause": finding.cause, "cure": finding.cure}
        for finding in findings.ALL
    ]
    rows: list[tuple[object, ...]] = [
        (one["code"], one["scope"], one["severity"], " ".join(one["fields"]), one["cause"]) for one in (*told, *found)
    ]
    human = table(("code", "scope", "severity", "fields", "cause"), rows)
    context.with_json(as_json).emit(human, {"version": "1.0", "rules": [*told, *found]})


@rules.command("show")
@click.argument("code")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")
@click.pass_obj
def show(context: Context, code: str, as_json: bool) -> None:
    """One code in full: cause, cure, and the predicate that is true where the rule is broken."""
    from cpis_batch.errors import UsageFault
    from cpis_batch.intake import findings
    from cpis_batch.intake.rules import BY_CODE, Scope

    code = code.upper()
    if rule := BY_CODE.get(code):
        predicate = f"{rule.given} AND ({rule.when})" if rule.given and rule.scope is Scope.ROW else rule.when
        document = {
            "version": "1.0",
            "code": code,
            "scope": rule.scope,
            "severity": rule.severity,
            "fields": rule.fields,
            "cause": rule.cause,
            "cure": rule.cure,
            "predicate": predicate,
            "file_outcome": rule.outcome if rule.scope is Scope.FILE and rule.severity == "ERROR" else None,
        }
        heading = f"{code}  {rule.severity} of a {rule.scope.lower()}  {' '.join(rule.fields)}".rstrip()
        human = f"{heading}\n{rule.cause}\nWhat to do: {rule.cure}\nBroken where: {predicate}"
    elif finding := next((one for one in findings.ALL if one.code == code), None):
        document = {"version": "1.0", "code": code, "scope": "FINDING", "cause": finding.cause, "cure": finding.cure}
        human = f"{code}  of the envelope or the sequence\n{finding.cause}\nWhat to do: {finding.cure}"
    else:
        raise UsageFault(f"There is no code {code}.", "See them all: cpis-batch rules list")
    context.with_json(as_json).emit(human, document)
