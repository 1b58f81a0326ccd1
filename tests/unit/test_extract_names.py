"""F10: names of LA extracts are taken by an allow-list, and decide nothing."""

from datetime import UTC, datetime

import pytest

from cpis_batch.intake.names import ExtractName, parse
from cpis_batch.vocabulary import ExtractKind

_NAME = "CPIS_LA_E09000012_FULL_00000118_20261119T234000Z.csv.pgp"


def test_a_name_of_the_form_is_read_and_written():
    found = parse(_NAME)
    assert found == ExtractName("E09000012", ExtractKind.FULL, 118, datetime(2026, 11, 19, 23, 40, tzinfo=UTC))
    assert str(found) == _NAME


@pytest.mark.parametrize(
    "name",
    [
        "",
        _NAME + "\n",
        " " + _NAME,
        "../" + _NAME,
        "a/" + _NAME,
        _NAME + ".part",
        _NAME + ".filepart",
        _NAME.removesuffix(".pgp"),
        _NAME.lower(),
        _NAME.replace("00000118", "118"),
        _NAME.replace("00000118", "0000011\u0668"),
        _NAME.replace("FULL", "PART"),
        _NAME.replace("E09000012", "204"),
        _NAME.replace("1119", "1131"),
        _NAME.replace("234000", "246000"),
        _NAME.replace("CPIS", "CPIS\u202e"),
        "x" * 300,
    ],
)
def test_f10_any_other_name_is_passed_over(name):
    assert parse(name) is None
