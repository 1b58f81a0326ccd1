"""Each bad file gets its outcome and its one acknowledgement, with words that help, and changes nothing else."""

from __future__ import annotations

import pytest

from cpis_batch.sandbox.drops import bomb
from tests.builders import HACKNEY, KENT, nhs
from tests.hub import Hub, extract, keys, plan_row

ROWS = [plan_row(1), plan_row(2, family="O'Brien"), plan_row(3, family="Smith, Jones")]
GOOD = extract(HACKNEY, ROWS, sequence=2)


@pytest.fixture
def hub(tmp_path):
    """Hackney with three children on the register, Kent with one."""
    hub = Hub.make(tmp_path)
    hub.drop(HACKNEY, ROWS)
    hub.drop(KENT, [plan_row(9)])
    hub.run()
    hub.next_night()
    return hub


def taken(hub: Hub, data: bytes, name: str | None = None, *, minutes_ago: float = 600) -> dict:
    """Put bytes down for Hackney, run, and give the newest answer; the register must stand as it stood."""
    before = hub.status()["register_digest"]
    hub.put(HACKNEY, name or hub.name(HACKNEY, 2), data, minutes_ago=minutes_ago)
    hub.run()
    assert hub.status()["register_digest"] == before
    assert hub.active() == {(nhs(1), "CPP"), (nhs(2), "CPP"), (nhs(3), "CPP")}
    assert len(hub.acknowledgements(KENT)) == 1
    return hub.acknowledgement()


def codes(answer: dict) -> set[str]:
    return {fault["code"] for fault in answer["faults"]}


def words(answer: dict) -> str:
    return " ".join(f"{fault['cause']} {fault['cure']}" for fault in answer["faults"])


def test_f09_a_file_for_another_authority_is_refused_and_answered_to_the_folder_owner_without_its_content(hub):
    answer = taken(hub, hub.sealed(extract(KENT, ROWS, sequence=2), HACKNEY))
    assert (answer["file"]["state"], answer["file"]["outcome"]) == ("REFUSED", "CPF04")
    assert answer["records"] == []
    assert "LC-" not in str(answer)


def test_f23_an_unsigned_file_is_refused_before_anything_is_read(hub):
    from pysequoia import Cert, encrypt

    data = encrypt(GOOD, recipients=[Cert.from_bytes(hub.certificate)], armor=False)
    answer = taken(hub, data)
    assert codes(answer) == {"CPB-902"}
    assert answer["file"]["sequence"] == -1
    assert "sign" in words(answer)


def test_f23_a_file_signed_by_another_authority_is_refused_before_anything_is_read(hub):
    answer = taken(hub, hub.sealed(GOOD, KENT))
    assert codes(answer) == {"CPB-903"}
    assert answer["file"]["sequence"] == -1


def test_f01_a_file_cut_short_waits_without_an_answer_and_is_refused_when_it_has_stood_still(hub):
    whole = hub.sealed(GOOD, HACKNEY)
    answers = len(hub.acknowledgements())
    hub.put(HACKNEY, hub.name(HACKNEY, 2), whole[: len(whole) // 2], minutes_ago=1)
    night = hub.run()
    assert len(hub.acknowledgements()) == answers
    assert [waiting["la"] for waiting in night.document["waiting"]] == [HACKNEY]
    assert hub.status()["waiting"] == 1

    hub.next_night()
    hub.run()
    answer = hub.acknowledgement()
    assert (answer["file"]["outcome"], answer["file"]["sequence"]) == ("CPF01", -1)
    assert hub.status()["waiting"] == 0
    assert len(hub.active()) == 3


def test_f01_a_file_that_goes_on_growing_is_taken_when_it_is_whole(hub):
    whole = hub.sealed(extract(HACKNEY, [*ROWS, plan_row(4)], sequence=2, extracted_at="2026-11-20T23:40:00Z"), HACKNEY)
    for part in (len(whole) // 3, len(whole) // 2, len(whole)):
        hub.put(HACKNEY, hub.name(HACKNEY, 2), whole[:part], minutes_ago=1)
        hub.run()
    assert hub.acknowledgement()["file"]["state"] == "MERGED"
    assert len(hub.acknowledgements()) == 2
    assert len(hub.active()) == 4


def test_an_empty_file_is_unreadable_and_says_what_to_do(hub):
    answer = taken(hub, b"")
    assert answer["file"]["outcome"] == "CPF01"
    assert "send it again" in words(answer)


@pytest.mark.parametrize(
    ("spoilt", "outcome", "hint"),
    [
        pytest.param(GOOD.replace(b",", b";"), "CPF01", "comma", id="semicolons"),
        pytest.param(GOOD.decode().encode("cp1252"), "CPF01", "UTF-8", id="cp1252"),
        pytest.param(GOOD.decode().encode("utf-16"), "CPF01", "UTF-8", id="utf-16"),
        pytest.param(GOOD[: GOOD.rindex(b"T,")], "CPF01", "", id="no-trailer"),
        pytest.param(GOOD.replace(b"\r\n", b",Neglect\r\n"), "CPF01", "column", id="extra-column"),
        pytest.param(GOOD.replace(b"1.0", b"9.9", 1), "CPF06", "version", id="version"),
        pytest.param(GOOD.replace(b"TEST", b"LIVE", 1), "CPF04", "", id="environment"),
        pytest.param(GOOD.replace(nhs(2).encode(), nhs(5).encode(), 1), "CPF01", "", id="hash-total"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused_with_its_cure(hub, spoilt, outcome, hint):
    answer = taken(hub, hub.sealed(spoilt, HACKNEY))
    assert (answer["file"]["state"], answer["file"]["outcome"]) == ("REFUSED", outcome)
    assert hint.lower() in words(answer).lower()
    assert list((hub.root / HACKNEY / "refused").iterdir())


def test_f25_a_file_made_for_another_environment_and_sealed_again_to_this_hub_is_refused(hub):
    answer = taken(hub, hub.sealed(extract(HACKNEY, ROWS, sequence=2, environment="LIVE"), HACKNEY))
    assert (answer["file"]["state"], answer["file"]["outcome"]) == ("REFUSED", "CPF04")
    assert "environment" in [fault["field"] for fault in answer["faults"]]
    assert answer["records"] == []


def test_a_byte_order_mark_is_let_in(hub):
    hub.put(HACKNEY, hub.name(HACKNEY, 2), hub.sealed(b"\xef\xbb\xbf" + GOOD, HACKNEY))
    hub.run()
    assert hub.acknowledgement()["file"]["outcome"] == "CPF02"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        pytest.param(plan_row(2, number="9.99E+09"), "nhs_number", id="scientific"),
        pytest.param(plan_row(2, start="01/02/2024"), "start_date", id="british-date"),
        pytest.param(plan_row(2, born="45306"), "date_of_birth", id="serial-date"),
    ],
)
def test_one_bad_row_is_kept_out_with_its_line_and_the_others_load(hub, row, field):
    hub.drop(rows=[ROWS[0], row, ROWS[2]])
    hub.run()
    answer = hub.acknowledgement()
    assert answer["file"]["outcome"] == "CPF03"
    assert [record["outcome"] for record in answer["records"]] == ["CPR06", "CPR07", "CPR06"]
    assert (3, field) in [(fault["line"], fault["field"]) for fault in answer["faults"]]
    assert len(hub.active()) == 3, "what was held of the child still stands"


def test_f32_an_unclosed_quote_harms_its_own_line_alone(hub):
    spoilt = GOOD.replace(b"O'Brien", b"\"O'Brien", 1)
    hub.put(HACKNEY, hub.name(HACKNEY, 2), hub.sealed(spoilt, HACKNEY))
    hub.run()
    answer = hub.acknowledgement()
    assert [record["outcome"] for record in answer["records"]] == ["CPR06", "CPR07", "CPR06"]


def test_f28_a_bomb_costs_one_file(hub):
    data = bomb(hub.certificate, keys(HACKNEY).secret)
    assert len(data) < 200_000
    hub.drop(KENT, [plan_row(9), plan_row(10)])
    hub.put(HACKNEY, hub.name(HACKNEY, 2), data)
    hub.run()
    assert hub.acknowledgement()["file"]["outcome"] == "CPF01"
    assert len(hub.active(KENT)) == 2


def test_f10_a_name_that_climbs_out_is_passed_over_and_counted(hub):
    hub.put(HACKNEY, "..\\..%2f.._CPIS_LA.csv.pgp", b"x")
    hub.put(HACKNEY, "notes\x1b[31m.txt", b"x")
    night = hub.run()
    assert sum(night.document["skipped"][HACKNEY].values()) == 2
    assert not night.intake.arrivals


def test_every_file_has_exactly_one_acknowledgement_and_one_state(hub):
    for sequence, data in enumerate((b"", GOOD[:50], hub.sealed(GOOD[:80], HACKNEY), hub.sealed(GOOD, KENT)), 2):
        hub.put(HACKNEY, hub.name(HACKNEY, sequence), data)
    hub.run()
    hub.run()
    with hub.catalogue() as catalogue:
        answered = catalogue.table(
            "SELECT a.id, count(d.id) AS n FROM arrivals a"
            " LEFT JOIN deliveries d ON d.arrival_id = a.id AND d.kind = 'ACKNOWLEDGEMENT' GROUP BY a.id"
        )
    assert len(answered) == 6
    assert {row["n"] for row in answered} == {1}
