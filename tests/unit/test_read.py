"""The reader keeps every line, its number as an editor shows it, and every value as it was written."""

from itertools import product

import pytest

from cpis_batch.intake.lines import Refused, Unreadable, split
from cpis_batch.intake.read import form, read_extract
from cpis_batch.intake.records import Damage, Records
from tests.builders import nhs
from tests.extracts import codes, context, d, extract, h, judged, outcomes, written


def records(data: bytes) -> Records:
    reading = read_extract(data)
    assert isinstance(reading, Records)
    return reading


def damages(data: bytes) -> dict[int, str | None]:
    rows = records(data).rows
    return dict(zip(rows["line"].to_pylist(), rows["damage"].to_pylist(), strict=True))


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [b"", b"\r\n", b"\n\n\n", b" \r\n\t\r\n", b",,,,,,,,,\r\n"])
def test_f29_f30_marks_line_ends_and_trailing_blanks_make_no_difference(end, mark, last):
    data = mark + extract(d(1), d(2), end=end).rstrip() + last
    verdict = judged(data)
    assert verdict.faults.num_rows == 0
    assert verdict.accepted["line"].to_pylist() == [2, 3]
    assert verdict.header is not None
    assert verdict.header.sequence == 118


def test_f30_line_numbers_are_those_of_an_editor_whatever_the_blank_lines():
    lines = ["", h(), "", d(1), "  ", ",,,", d(2, nhs_number="1"), f"T,2,{int(nhs(1)) + 1}"]
    verdict = judged("\n".join(lines).encode())
    assert records("\n".join(lines).encode()).header.lines == (2,)
    assert codes(verdict) == [(1, "CPB-023"), (7, "CPB-309")]
    assert outcomes(verdict) == {4: "CPR06", 7: "CPR07"}


def test_values_are_kept_as_they_were_written():
    family = 'Smith, "the" Jones\t'
    row = records(extract(d(1, family_name=family, given_name=" NULL ", child_id="007"), d(2, family_name="NA"))).rows.to_pylist()
    assert (row[0]["family_name"], row[0]["given_name"], row[0]["child_id"], row[0]["end_date"]) == (family, " NULL ", "007", "")
    assert row[1]["family_name"] == "NA"


def test_a_file_with_every_value_quoted_is_the_same_file():
    quoted = "\r\n".join(
        ",".join(f'"{value}"' for value in line.split(",")) for line in extract(d(1), d(2)).decode().splitlines()
    ).encode()
    assert judged(quoted).faults.num_rows == 0
    assert records(quoted).rows.equals(records(extract(d(1), d(2))).rows)


@pytest.mark.parametrize("padding", [",", ",,,,,", ', , ,""', ",,,,,,,,,,,,,,,,,,,,,,,,"])
def test_commas_that_pad_a_record_are_passed_over_on_every_record(padding):
    plain = extract(d(1, family_name="Smith, Jones"), d(2))
    padded = b"".join(line + padding.encode() + b"\r\n" for line in plain.splitlines())
    assert judged(padded).faults.num_rows == 0
    assert records(padded).rows.equals(records(plain).rows)


def test_a_record_with_a_space_after_its_type_is_one_padded_or_not():
    lines = [h(), d(1).replace("D,", "D ,"), d(2).replace("D,", "D ,") + ",,", d(3)]
    verdict = judged("\n".join([*lines, f"T,3,{sum(int(nhs(n)) for n in (1, 2, 3)) % 10**10}"]).encode())
    assert (codes(verdict), verdict.accepted["nhs_number"].to_pylist()) == ([], [nhs(1), nhs(2), nhs(3)])


def test_records_padded_to_different_widths_are_fine():
    lines = [
        h() + ",",
        d(1),
        d(2) + ",,,",
        d(3) + ",",
        "T,3," + str(sum(int(d(n).split(",")[1]) for n in (1, 2, 3)) % 10**10) + ",,,,,,,",
    ]
    verdict = judged("\n".join(lines).encode())
    assert verdict.faults.num_rows == 0
    assert verdict.accepted["line"].to_pylist() == [2, 3, 4]


def test_f31_ragged_rows_are_named_by_line():
    few, many = d(2).rsplit(",", 1)[0], d(3) + ",more"
    assert damages(extract(d(1), few, many, d(4), d(5))) == {
        2: None, 3: Damage.TOO_FEW_FIELDS, 4: Damage.TOO_MANY_FIELDS, 5: None, 6: None,
    }  # fmt: skip


def test_f31_a_name_with_a_comma_and_no_quotes_harms_its_own_line():
    verdict = judged(extract(d(1, delete_date="2026-11-01").replace("Familyb", "Smith, Jones"), d(2), d(3)))
    assert codes(verdict) == [(2, "CPB-205")]
    verdict = judged(extract(d(1).replace("Familyb", "Smith, Jones"), d(2), d(3)))
    assert (2, "CPB-207") in codes(verdict)
    assert outcomes(verdict) == {2: "CPR07", 3: "CPR06", 4: "CPR06"}


def test_f31_content_beyond_the_declared_columns_is_never_trimmed():
    """Even one quote mark, or a value after empty ones."""
    for extra in (',""""', ",,,x", ', "",'):
        assert damages(extract(d(1), d(2), d(3) + extra))[4] is not None


@pytest.mark.parametrize("share", [2, 3])
def test_f31_a_file_with_another_column_is_refused_whole(share):
    rows = [d(n) + (",NEGLECT" if n < share else "") for n in range(3)]
    verdict = judged(extract(*rows))
    assert codes(verdict)[0] == (2, "CPB-022")
    assert verdict.file_outcome == "CPF01"
    assert verdict.accepted.num_rows == 0
    assert set(outcomes(verdict).values()) == {"CPR07"}


def test_f31_a_heading_of_the_details_or_of_the_header_is_passed_over():
    for schema in (form().detail, form().header):
        for heading in (
            ",".join(schema.names),
            written(schema.names).upper(),
            ",".join(f'"{name}"' for name in schema.names) + ",,",
        ):
            verdict = judged(heading.encode() + b"\r\n" + extract(d(1)))
            assert codes(verdict) == []
            assert verdict.accepted["line"].to_pylist() == [3]


@pytest.mark.parametrize(
    "change",
    [
        lambda names: [*names, "category_of_abuse"],
        lambda names: names[:-1],
        lambda names: [*names[:-1], names[-2]],
        lambda names: [names[0], names[2], names[1], *names[3:]],
        lambda names: [*names[:3], "surname", *names[4:]],
    ],
)
def test_f31_a_heading_with_other_columns_refuses_the_file(change):
    heading = ",".join(change(list(form().detail.names)))
    verdict = judged(heading.encode() + b"\n" + extract(d(1)))
    assert codes(verdict) == [(1, "CPB-021")]
    assert verdict.file_outcome == "CPF01"


@pytest.mark.parametrize("field", ["nhs_number", "child_id", "family_name", "given_name", "delete_date"])
def test_f32_an_unclosed_quote_harms_its_own_line_only(field):
    rows = [d(1), d(2, **{field: "@@"}).replace("@@", '"open'), *(d(n) for n in range(3, 50))]
    verdict = judged(extract(*rows, trailer="T,49,0"))
    assert damages(extract(*rows))[3] == Damage.UNCLOSED_QUOTE
    assert [line for line, code in codes(verdict) if code == "CPB-201"] == [3]
    assert all(damage is None for line, damage in damages(extract(*rows)).items() if line != 3)


def test_f32_of_a_damaged_line_its_own_id_is_told_and_its_plans_are_not_called_missing():
    rows = [d(1), d(2).replace("Familyc", '"Familyc')]
    verdict = judged(extract(*rows))
    assert verdict.file_outcome == "CPF03"
    assert verdict.outcomes.to_pylist()[1] == {"line": 3, "child_id": "LC-000002", "outcome": "CPR07"}
    assert sorted(verdict.rejected["plan_type"].to_pylist()) == ["CPP", "LAC", "UCPP"]


def test_f31_a_line_break_in_a_value_is_refused_where_it_stands():
    verdict = judged(extract(d(1), d(2, family_name="Smith\nJones"), d(3)))
    assert codes(verdict) == [(3, "CPB-201"), (4, "CPB-206")]
    assert outcomes(verdict) == {2: "CPR06", 3: "CPR07", 4: "CPR07", 5: "CPR06"}


def test_f30_a_lone_carriage_return_in_a_value_is_a_line_break():
    verdict = judged(extract(d(1), d(2, family_name="Smith\rJones"), d(3)))
    assert codes(verdict) == [(3, "CPB-203")]


@pytest.mark.parametrize("line", ['D,a"b,c,d,e,f,g,h,i,j', 'D,"a"b,c,d,e,f,g,h,i,j'])
def test_a_quote_astray_is_told_from_an_unclosed_one(line):
    assert damages(extract(d(1), line, d(2)))[3] in (Damage.STRAY_QUOTE, Damage.UNCLOSED_QUOTE)
    assert damages(extract(d(1), line.replace("j", '"') if line.count('"') == 1 else line, d(2)))[3] == Damage.STRAY_QUOTE


@pytest.mark.parametrize("line", ["d,lower case", "X,1", ",,a", "DD,1,2", " D,1", "no commas at all"])
def test_a_line_of_no_known_type_has_an_outcome_too(line):
    verdict = judged(extract(d(1), line, d(2)))
    assert codes(verdict) == [(3, "CPB-206")]
    assert outcomes(verdict)[3] == "CPR07"


def test_a_sender_that_counted_a_line_of_no_known_type_is_not_told_of_lost_rows():
    lowered = "d" + d(2)[1:]
    verdict = judged(extract(d(1), lowered, trailer=f"T,2,{sum(int(d(n).split(',')[1]) for n in (1, 2)) % 10**10}"))
    assert codes(verdict) == [(3, "CPB-206")]
    assert verdict.file_outcome == "CPF03"


def test_f33_the_hash_total_counts_what_was_sent_right_or_wrong():
    assert judged(extract(d(1), d(2, nhs_number="9.43E+09"), d(3, nhs_number="999 000 0042"))).file_outcome == "CPF03"


@pytest.mark.parametrize(
    ("change", "line", "code"),
    [
        (lambda lines: [*lines[:1], *lines[2:]], 4, "CPB-157"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 6, "CPB-157"),
        (lambda lines: lines[:-1], None, "CPB-151"),
        (lambda lines: [*lines, lines[1]], 5, "CPB-152"),
        (lambda lines: [*lines, lines[-1]], 5, "CPB-152"),
        (lambda lines: [*lines[:-1], "T,3"], 5, "CPB-154"),
        (lambda lines: [*lines[:-1], "T,three,0"], 5, "CPB-155"),
        (lambda lines: [*lines[:-1], "T,3,9.98E+09"], 5, "CPB-156"),
        (lambda lines: [*lines[:-1], "T,3,1"], 5, "CPB-158"),
        (lambda lines: [lines[0], *reversed(lines[1:])], 2, "CPB-152"),
    ],
)
def test_f33_rows_lost_or_added_after_the_export_refuse_the_file(change, line, code):
    lines = extract(d(1), d(2), d(3)).decode().splitlines()
    verdict = judged("\n".join(change(lines)).encode())
    assert (line, code) in codes(verdict)
    assert verdict.file_outcome == "CPF01"
    assert verdict.accepted.num_rows == 0
    assert verdict.header is not None  # the answer names the sequence


def test_two_extracts_joined_are_refused():
    verdict = judged(extract(d(1)) + extract(d(2)))
    assert {"CPB-103", "CPB-152", "CPB-153"} <= {code for _, code in codes(verdict)}
    assert verdict.file_outcome == "CPF01"


def test_an_empty_extract_is_valid():
    verdict = judged(extract())
    assert verdict.file_outcome == "CPF02"
    assert (verdict.accepted.num_rows, verdict.outcomes.num_rows, verdict.faults.num_rows) == (0, 0, 0)


def test_all_rows_rejected_is_none_loaded():
    assert judged(extract(d(1, nhs_number="1"))).file_outcome == "CPF04"


def test_f40_another_version_is_told_with_those_supported():
    for header in (h(version="9.9"), h(version="2.0") + ",a,b", "H,CPIS-LA-EXTRACT,1.1"):
        verdict = judged(extract(d(1), header=header))
        assert verdict.faults.select(["line", "code", "detail"]).to_pylist() == [
            {"line": 1, "code": "CPB-105", "detail": "supported: 1.0"}
        ]
        assert verdict.file_outcome == "CPF06"
        assert verdict.outcomes.num_rows == 0


def test_f09_of_another_authoritys_file_nothing_is_told():
    verdict = judged(extract(d(1, nhs_number="1"), d(2), trailer="T,9,9"), context(la_code="E10000016"))
    assert codes(verdict) == [(1, "CPB-131")]
    assert verdict.header is None
    assert (verdict.outcomes.num_rows, verdict.accepted.num_rows, verdict.rejected.num_rows) == (0, 0, 0)
    assert verdict.file_outcome == "CPF04"


def test_f26_another_environment_refuses_the_file():
    verdict = judged(extract(d(1)), context("LIVE"))
    assert codes(verdict) == [(1, "CPB-132")]
    assert verdict.file_outcome == "CPF04"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"format": "CPIS-ACCESS-EVENTS"}, "CPB-104"),
        ({"environment": "test"}, "CPB-106"),
        ({"la_code": "204"}, "CPB-107"),
        ({"kind": "Full"}, "CPB-108"),
        ({"sequence": "0"}, "CPB-109"),
        ({"sequence": "1.0"}, "CPB-109"),
        ({"sequence": "123456789"}, "CPB-109"),
        ({"extracted_at": "2026-11-19 23:40:00"}, "CPB-110"),
        ({"extracted_at": "2026-11-19T23:40:00"}, "CPB-110"),
        ({"extracted_at": "2026-02-30T23:40:00Z"}, "CPB-110"),
        ({"extracted_at": "0001-01-01T00:00:00+14:00"}, "CPB-110"),
        ({"extracted_at": "2026-11-22T00:00:00Z"}, "CPB-111"),
    ],
)
def test_a_fault_of_the_header_refuses_the_file(fields, code):
    verdict = judged(extract(d(1), header=h(**fields)))
    assert (1, code) in codes(verdict)
    assert verdict.file_outcome == "CPF01"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"office_phone": ""}, "CPB-113"),
        ({"office_phone": "ask Ann"}, "CPB-114"),
        ({"emergency_phone": ""}, "CPB-115"),
        ({"emergency_phone": "ask Ann"}, "CPB-116"),
        ({"extracted_at": "2026-10-19T23:40:00Z"}, "CPB-112"),
    ],
)
def test_other_faults_of_the_header_warn(fields, code):
    verdict = judged(extract(d(1), header=h(**fields)))
    assert codes(verdict) == [(1, code)]
    assert verdict.file_outcome == "CPF02"


@pytest.mark.parametrize("data", [b"record_type\n", b"hello\n", b"T,0,0\n", b"record_type,nhs_number\nD,1\n"])
def test_a_file_without_a_header_is_refused(data):
    verdict = judged(data)
    assert "CPB-101" in {code for _, code in codes(verdict)}
    assert verdict.file_outcome == "CPF01"
    assert verdict.header is None


def test_counts_are_never_capped():
    many = 3000
    verdict = judged(extract(*(d(n, start_date="x", end_date="y") for n in range(many))))
    assert verdict.faults.num_rows == 2 * many
    assert verdict.outcomes.num_rows == many


def test_an_exception_never_holds_a_value(monkeypatch):
    """None is raised at all; were it, a reading has no telling repr."""
    reading = read_extract(extract(d(1)))
    assert "LC-000001" not in repr(reading)
    assert "LC-000001" not in repr(judged(extract(d(1))))
    assert not isinstance(reading, Refused)


def test_what_is_utf_8_is_so_to_every_reader():
    """Arrow judges whole files and Python tells where: at the edges of every range of bytes they agree."""
    edges = b"A\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"
    for length in (1, 2, 3):
        for some in map(bytes, product(edges, repeat=length)):
            found = split(b"H," + some + b"\n", line_bytes=100)
            assert isinstance(found, Refused) == (some.decode(errors="ignore").encode() != some), some


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b" ,\t\r\n\n,"])
def test_a_file_of_nothing_but_blanks_is_empty_with_a_mark_before_it_or_without(data):
    assert split(data, line_bytes=100) == Refused(Unreadable.EMPTY)
