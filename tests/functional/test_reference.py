"""The reference tables kept up to date and checked; F53 with Surrey's split on 1 April 2027, rehearsed and then lived through."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cpis_batch import config, organisations, spec
from cpis_batch.errors import ConfigFault, InputRefused, UsageFault
from tests.builders import HACKNEY, nhs
from tests.commands import told, typed
from tests.hub import Hub, plan_row
from tests.small_england import extracts, table_lines
from tests.trace_hub import TRACE, asked, found, respond

SAMPLES = spec.folder().parent / "sample_data" / "surrey-2027"
SPLIT = [str(SAMPLES / f"{name}.csv") for name in ("local_authorities", "la_chis", "lower_to_upper_tier")]
LATER = str(SAMPLES / "later" / "la_chis.csv")
SURREY, EAST, WEST = "E10000030", "E06999901", "E06999902"
ELMBRIDGE, WOKING = "E07000207", "E07000217"
OLD_UNIT, NEW_UNIT = "CHIS20", "CHIS16"
VESTING = "2027-04-01"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """All of England's units, Surrey and Hackney, and a trace service, six weeks before the day."""
    made = Hub.make(tmp_path, las=(SURREY, HACKNEY))
    made.add_partner(TRACE, "TRACE")
    made.now = datetime(2027, 2, 16, 2, 0, tzinfo=UTC)
    return made


def traced_surrey(hub: Hub) -> Hub:
    """Of Surrey's children 1 lives in Elmbridge, 2 in Woking, 3 is not traced, 4 is sensitive. Child 5 is Hackney's."""
    hub.drop(SURREY, [plan_row(child) for child in (1, 2, 3, 4)])
    hub.drop(HACKNEY, [plan_row(5)])
    hub.run("nightly")
    reference = asked(hub)
    hub.next_night()
    respond(
        hub,
        found(reference[nhs(1)], 1, practice="", residence=ELMBRIDGE),
        found(reference[nhs(2)], 2, practice="", residence=WOKING),
        found(reference[nhs(4)], 4, practice="", residence="", sensitive="Y"),
    )
    hub.run("nightly")
    return hub


def landings(hub: Hub, code: int) -> set[tuple[object, ...]]:
    document = told(hub, "reference", "rehearse", "--on", VESTING, code=code)
    return {tuple(row.values()) for row in document["landings"]}


def test_f53_before_the_split_is_in_the_tables_the_rehearsal_shows_everybody_where_they_are(hub: Hub) -> None:
    traced_surrey(hub)
    assert landings(hub, 0) == {
        (SURREY, SURREY, OLD_UNIT, OLD_UNIT, "RESIDENCE", None, 2),
        (SURREY, SURREY, OLD_UNIT, OLD_UNIT, "SENDING_LA", None, 2),
        (HACKNEY, HACKNEY, "CHIS02", "CHIS02", "SENDING_LA", None, 1),
    }


def test_f53_the_rehearsal_shows_where_every_child_of_surrey_lands_and_who_would_be_lost(hub: Hub) -> None:
    traced_surrey(hub)
    told(hub, "reference", "import", "rows", *SPLIT, "--yes")
    assert landings(hub, 3) == {
        (SURREY, EAST, OLD_UNIT, OLD_UNIT, "RESIDENCE", None, 1),
        (SURREY, WEST, OLD_UNIT, NEW_UNIT, "RESIDENCE", None, 1),
        (SURREY, None, OLD_UNIT, None, None, "SUCCESSORS_DIFFER", 2),
        (HACKNEY, HACKNEY, "CHIS02", "CHIS02", "SENDING_LA", None, 1),
    }
    document = told(hub, "reference", "check", code=3)
    assert [(gap["code"], gap["reason"], gap["since"], gap["until"]) for gap in document["gaps"]] == [
        (SURREY, "SUCCESSORS_DIFFER", VESTING, None)
    ]

    told(hub, "reference", "import", "rows", LATER, "--yes")
    assert (SURREY, None, OLD_UNIT, OLD_UNIT, "SENDING_LA", None, 2) in landings(hub, 0)
    (gap,) = told(hub, "reference", "check", code=3)["gaps"]
    assert (gap["code"], gap["since"]) == (SURREY, "2027-10-01"), "until when late files have a unit"
    shown = typed(hub, "reference", "rehearse", "--on", VESTING).output
    assert not [child for child in range(1, 6) if nhs(child) in shown]


@pytest.mark.parametrize("policy", ["first", "all"])
def test_f53_on_the_first_release_after_the_day_a_child_ceases_at_the_old_unit_and_is_new_at_the_other(
    hub: Hub, policy: str
) -> None:
    path = hub.home / config.FILE_NAME
    path.write_text(path.read_text().replace("[extracts]\n", f'[extracts]\npolicy = "{policy}"\n'))
    traced_surrey(hub)
    told(hub, "reference", "import", "rows", *SPLIT, "--yes")
    told(hub, "reference", "import", "rows", LATER, "--yes")
    before = shown(hub, OLD_UNIT)
    assert {number for number, change in before if change != "CEASED"} == {nhs(child) for child in (1, 2, 3, 4)}
    assert shown(hub, NEW_UNIT) == set()
    hub.next_night(50)  # 8 April: late files come under the county's code still
    hub.drop(SURREY, [plan_row(child) for child in (1, 2, 3, 4)])
    hub.run("nightly")
    assert (nhs(2), "NEW") in shown(hub, NEW_UNIT)
    assert len(shown(hub, NEW_UNIT)) == 1
    if policy == "first":
        assert (nhs(2), "CEASED") in shown(hub, OLD_UNIT)
    else:
        assert (nhs(2), "UNCHANGED") in shown(hub, OLD_UNIT), "the sending authority's code leads there still"
    assert {number for number, change in shown(hub, OLD_UNIT) if change != "CEASED"} >= {nhs(child) for child in (1, 3, 4)}

    hub.next_night(182)  # 7 October: nothing keeps the county's code with its old unit any more
    hub.run("nightly")
    assert {number for number, change in shown(hub, OLD_UNIT) if change == "CEASED"} == {nhs(3), nhs(4)} | (
        {nhs(2)} if policy == "all" else set()
    )
    with hub.catalogue() as catalogue:
        newest = catalogue.releases()[-1]
    assert newest.active == newest.sent + newest.unroutable
    assert newest.unroutable == 2


def shown(hub: Hub, unit: str) -> set[tuple[str, str]]:
    """Number and change of every row of a unit's newest extract."""
    return {(row["nhs_number"], row["change"]) for row in extracts(hub, unit)[-1]}


def test_nothing_is_written_by_a_dry_run_or_without_a_yes_and_twice_is_once(hub: Hub) -> None:
    path = hub.home / "reference" / "la_chis.csv"
    document = told(hub, "reference", "import", "rows", *SPLIT, "--dry-run")
    assert [table["counts"] for table in document["tables"]] == [
        {"new": 2, "changed": 1, "unchanged": 0},
        {"new": 2, "changed": 1, "unchanged": 0},
        {"new": 13, "changed": 11, "unchanged": 0},
    ]
    assert typed(hub, "reference", "import", "rows", *SPLIT, given="n\n").exit_code != 0
    assert not path.exists()
    assert told(hub, "reference", "import", "rows", *SPLIT, "--yes")["written"]
    before = path.read_bytes()
    assert not told(hub, "reference", "import", "rows", *SPLIT, "--yes")["written"]
    assert path.read_bytes() == before
    told_of = [facts for _, facts in hub.audit_log() if facts.get("command") == "reference import"]
    assert [facts["table"] for facts in told_of] == ["local_authorities", "la_chis", "lower_to_upper_tier"]


def test_what_would_contradict_the_other_tables_is_refused_and_not_written(hub: Hub) -> None:
    with pytest.raises(ConfigFault, match=r"local_authorities\.csv does not have"):
        typed(hub, "reference", "import", "rows", SPLIT[1], "--yes")
    assert not (hub.home / "reference" / "la_chis.csv").exists()
    with pytest.raises(UsageFault, match="no dated table"):
        typed(hub, "reference", "import", "rows", str(SAMPLES / "lookup.csv"), "--yes")


def test_the_list_of_the_ods_comes_to_the_unit_of_each_practice_by_its_icb_and_what_is_closed_ends(hub: Hub) -> None:
    listed = SAMPLES / "epraccur.csv"
    first = told(hub, "reference", "import", "practices", str(listed), "--on", "2026-01-01", "--yes")
    assert first["tables"][0]["counts"] == {"new": 4, "changed": 0, "ended": 0, "unchanged": 0, "not_in_list": 0}
    assert first["tables"][0]["passed_over"] == {"no GP practice": 1, "no unit, or several, for QOP": 1}
    again = told(hub, "reference", "import", "practices", str(listed), "--on", "2026-11-20", "--yes")
    assert again["tables"][0]["counts"] == {"new": 0, "changed": 0, "ended": 1, "unchanged": 3, "not_in_list": 0}
    assert table_lines(hub, "practice_chis")[1:] == [
        "ZP0001,CHIS20,2026-01-01,",
        "ZP0002,CHIS02,2026-01-01,",
        "ZP0003,CHIS20,2026-01-01,2026-11-19",
        "ZP0006,CHIS20,2026-01-01,",
    ]


def test_where_an_icb_has_several_units_the_operators_table_says_which_by_commissioner(hub: Hub, tmp_path: Path) -> None:
    areas = tmp_path / "areas.csv"
    areas.write_text("area_code,chis_code\n14L,CHIS02\n")
    told(hub, "reference", "import", "practices", str(SAMPLES / "epraccur.csv"), "--areas", str(areas), "--yes")
    assert [line for line in table_lines(hub, "practice_chis") if line.startswith("ZP0005")] == ["ZP0005,CHIS02,2027-02-16,"]


def test_the_lookup_of_the_ons_comes_to_the_authority_of_each_district_from_a_day_on(hub: Hub) -> None:
    told(hub, "reference", "import", "rows", *SPLIT[:2], "--yes")
    lookup = str(SAMPLES / "lookup.csv")
    document = told(hub, "reference", "import", "places", lookup, "--on", VESTING, "--yes")
    counts = document["tables"][0]["counts"]
    assert (counts["new"], counts["changed"], counts["unchanged"]) == (1, 1, 1)
    assert counts["not_in_list"] > 200, "what the list leaves out stays, and is told"
    assert document["tables"][0]["passed_over"] == {"not in England": 1}
    assert [line for line in table_lines(hub, "lower_to_upper_tier") if line.startswith(WOKING)] == [
        f"{WOKING},Woking,{SURREY},Surrey,2009-01-01,2027-03-31",
        f"{WOKING},Woking,{WEST},West Surrey (illustrative code),{VESTING},",
    ]
    with pytest.raises(UsageFault, match="a row from 2027-04-01 on"):
        typed(hub, "reference", "import", "places", str(SAMPLES / "lookup.csv"), "--on", "2027-03-01", "--yes")


def test_the_lookup_of_the_ons_comes_to_the_boards_of_each_authority_from_a_day_on(hub: Hub) -> None:
    newham = "E09000025"
    document = told(hub, "reference", "import", "boards", str(SAMPLES / "boards.csv"), "--on", VESTING, "--yes")
    named, linked = document["tables"]
    assert (named["table"], named["counts"]) == ("integrated_care_boards", {"new": 2, "changed": 0, "unchanged": 0})
    assert linked["table"] == "local_authority_icb"
    assert (linked["counts"]["changed"], linked["counts"]["unchanged"]) == (1, 1), (
        "Hackney's board is another one, Newham's the same"
    )
    assert linked["counts"]["not_in_list"] > 140, "who is not in the list stays"
    assert linked["passed_over"] == {"an authority of which a district is not in the list": 1}, "of Surrey there is Woking alone"
    assert [line for line in table_lines(hub, "local_authority_icb") if line.startswith(HACKNEY)] == [
        f"{HACKNEY},QMF,Y56,Y,2022-07-01,2027-03-31",
        f"{HACKNEY},QMF,Y56,N,{VESTING},",
        f"{HACKNEY},QZ1,Y59,Y,{VESTING},",
    ]
    england = organisations.load(hub.home / "reference")
    assert [england.icb_of(HACKNEY, day) for day in (date(2027, 3, 31), date(2027, 4, 1))] == ["QMF", "QZ1"]
    assert england.icb_of(newham, date(2027, 4, 1)) == "QMF"
    again = told(hub, "reference", "import", "boards", str(SAMPLES / "boards.csv"), "--on", VESTING, "--yes")
    assert again["written"] is False


@pytest.mark.parametrize(
    ("command", "text", "says"),
    [
        ("boards", "", "is empty"),
        ("boards", "ICB25CD,ICB25CDH,ICB25NM\n", "no column for: district"),
        ("boards", "ICB25CD,ICB25CDH,ICB25NM,LAD25CD\n", "headings and no rows"),
        ("boards", "ICB25CD,ICB25CDH,ICB25NM,LAD25CD\nE54000029,QMF,NEL\n", "line 2: 3 columns and not 4"),
        ("boards", "ICB25CD,ICB25CDH,ICB25NM,LAD25CD\nE54000029,QMF,NEL,204\n", "line 2: no GSS code"),
        (
            "boards",
            "ICB25CD,ICB25CDH,ICB25NM,LAD25CD\nE54999901,QZ1,NEW,E09000012\n",
            "QZ1, which is new, without its NHS region",
        ),
        (
            "boards",
            "ICB25CD,ICB25CDH,ICB25NM,LAD25CD\nE54000029,QMF,A,E09000012\nE54000029,QMF,B,E09000025\n",
            "line 3: a board that is called otherwise",
        ),
        ("practices", "A81001,NAME\n", "2 columns and not 27"),
        ("practices", '"A81001' + "," * 26 + "\n", "no CSV"),
        ("practices", "no code" + "," * 26 + "\n", "column 1 holds no code"),
        ("practices", "A81001" + "," * 12 + "X" + "," * 14 + "\n", "column 13 holds no status"),
        ("practices", "A81001" + "," * 11 + "31/03/2026,C" + "," * 13 + "4,\n", "column 12 holds no date"),
        ("practices", ("A81001" + "," * 12 + "A" + "," * 14 + "\n") * 2, "line 2: a practice that is there twice"),
        ("practices", b"\xff\xfe", "not UTF-8 from byte 0"),
        ("places", "", "is empty"),
        ("places", "LAD25CD,LAD25NM\n", "no code and name of the upper tier"),
        ("places", "LAD25CD,LAD25NM,UTLA25CD,UTLA25NM\nE07000217,Woking\n", "line 2: 2 columns and not 4"),
        ("places", "LAD25CD,LAD25NM,UTLA25CD,UTLA25NM\n204,Woking,E10000030,Surrey\n", "line 2: no GSS code"),
        (
            "places",
            "LAD25CD,LAD25NM,UTLA25CD,UTLA25NM\nE07000217,W,E10000030,S\nE07000217,W,E10000003,C\n",
            "line 3: a place that lies in two",
        ),
    ],
)
def test_a_list_that_is_not_of_its_layout_is_refused_whole_by_line_and_column(
    hub: Hub, tmp_path: Path, command: str, text: str | bytes, says: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputRefused, match=says):
        typed(hub, "reference", "import", command, str(path), "--yes")
    assert list((hub.home / "reference").iterdir()) == []


def test_every_authority_and_district_of_the_packaged_tables_leads_somewhere_from_today_on(hub: Hub) -> None:
    assert told(hub, "reference", "check", "--on", "2026-11-20")["gaps"] == []
    assert organisations.load().residence_chis.num_rows > 300


def test_a_practice_or_authority_whose_row_ends_is_found_by_the_check_from_that_day(hub: Hub) -> None:
    folder = hub.home / "reference"
    packaged = Path(organisations.__file__).parent / "reference" / "la_chis.csv"
    lines = packaged.read_text().replace(f"{HACKNEY},CHIS02,2009-01-01,", f"{HACKNEY},CHIS02,2009-01-01,2027-05-31")
    (folder / "la_chis.csv").write_text(lines + f"{HACKNEY},CHIS01,2027-06-11,\n")
    (folder / "practice_chis.csv").write_text(
        "practice_code,chis_code,valid_from,valid_to\nZP0001,CHIS01,2020-01-01,2027-06-30\nZP0002,CHIS01,2020-01-01,2026-01-01\n"
    )
    gaps = told(hub, "reference", "check", code=3)["gaps"]
    assert [(gap["kind"], gap["code"], gap["reason"], gap["since"], gap["until"]) for gap in gaps] == [
        ("authority", HACKNEY, "LA_HAS_NO_UNIT", "2027-06-01", "2027-06-10"),
        ("practice", "ZP0001", "ENDS", "2027-07-01", None),
    ]


def test_a_day_that_is_past_is_not_rehearsed(hub: Hub) -> None:
    with pytest.raises(UsageFault, match="is past"):
        typed(hub, "reference", "rehearse", "--on", str(date(2027, 2, 15)))
