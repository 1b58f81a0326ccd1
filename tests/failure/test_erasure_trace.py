"""F56 for demographics: what PDS told of a person, what was asked about them, and what an authority was told, goes with them."""

from __future__ import annotations

from pathlib import Path

from tests.builders import HACKNEY, nhs
from tests.commands import told
from tests.failure.erasure_kit import BORN, FAMILY, GIVEN, NUMBER, OTHERS, PERSON, applied, person, traces
from tests.hub import Hub
from tests.small_england import small_england
from tests.trace_hub import TRACE, asked, found, respond, table


def traced(folder: Path) -> Hub:
    """A year and more after the end of a person whom PDS knows under a newer number; of child 1 nothing is amiss."""
    hub = small_england(folder)
    hub.add_partner(TRACE, "TRACE")
    hub.drop(HACKNEY, [*OTHERS, person()])
    hub.run("nightly")
    references = asked(hub)
    hub.next_night()
    facts = {"family": FAMILY.upper(), "given": GIVEN.upper(), "born": BORN, "number": nhs(90)}
    respond(hub, found(references[NUMBER], PERSON, "21", **facts), found(references[nhs(1)], 1))
    hub.drop(HACKNEY, [*OTHERS, person(end="2026-11-20")])
    hub.run("nightly")
    hub.next_night(370)
    hub.drop(HACKNEY, OTHERS)
    hub.run("nightly")
    return hub


def test_f56_what_the_trace_told_of_a_person_goes_with_the_person_and_of_others_stays(tmp_path):
    hub = traced(tmp_path)
    assert "a part in register" in traces(hub)
    assert {row["nhs_number"] for row in table(hub, "PERSONS")} == {nhs(1), NUMBER}
    assert [row["nhs_number"] for row in table(hub, "TOLD")] == [NUMBER]
    applied(hub)
    assert traces(hub) == set()
    assert {row["nhs_number"] for row in table(hub, "PERSONS")} == {nhs(1)}
    assert table(hub, "TOLD") == []
    with hub.catalogue() as catalogue:
        kept = {delivery.kind for delivery in catalogue.deliveries("erased_in IS NULL")}
    assert "TRACE_REQUEST" not in kept
    assert (told(hub, "register", "verify")["damages"], told(hub, "audit", "verify")["faults"]) == ([], [])
    hub.next_night()
    hub.drop(HACKNEY, OTHERS)
    assert hub.run("nightly").exit_code in (0, 3), "and the next night goes on from there"
    assert traces(hub) == set()
