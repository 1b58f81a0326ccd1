"""The thinnest thread through everything: one authority, one child, an answer, a CHIS file."""

from __future__ import annotations

from tests.builders import HACKNEY, nhs
from tests.hub import Hub, plan_row


def test_a_child_goes_from_an_extract_to_the_register_the_answer_and_the_chis_file(tmp_path):
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, [plan_row(1)])

    night = hub.run("nightly")

    assert hub.active() == {(nhs(1), "CPP")}
    answer = hub.acknowledgement()
    assert answer["file"]["outcome"] == "CPF02"
    assert [(row["line"], row["child_id"], row["outcome"], row["loaded"]) for row in answer["records"]] == [
        (2, "LC-000001", "CPR06", True)
    ]
    assert night.released is not None
    told = [
        hub.opened(path, "CHIS").decode()
        for unit in (hub.root).iterdir()
        if unit.name.startswith("CHIS")
        for path in hub.outbound(unit.name)
        if path.name.endswith(".csv.pgp")
    ]
    assert sum(nhs(1) in text for text in told) == 1
