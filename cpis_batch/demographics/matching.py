"""Whether a record of PDS is the person whom an authority means: number, date of birth, family name, then first names.

The number is what the trace goes by. The date of birth must be the same and the family name equal after normalisation; of
the first names one of three checks, tried in this order, must hold: all given names; the first forename against the first
given name; the first forename against any given name. What fails first is named, so that it can be told.

Normalised is: letters alone, small, without accents; letters that do not come apart into letter and accent (ø, ł, ß) as
they are written without them. So O'Brien is OBRIEN, Smith-Jones is Smith Jones, Łukasz is Lukasz. A name without a letter
equals none. Letters of other scripts stay as they are.
"""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from cpis_batch.engine import query


class Check(StrEnum):
    """The check that failed. The words for an authority are in `WORDS`."""

    DATE_OF_BIRTH = "DATE_OF_BIRTH"
    FAMILY_NAME = "FAMILY_NAME"
    GIVEN_NAMES = "GIVEN_NAMES"


class MatchedBy(StrEnum):
    """The check of first names that held, the strongest first."""

    FULL_GIVEN_NAMES = "FULL_GIVEN_NAMES"
    FIRST_GIVEN_NAME = "FIRST_GIVEN_NAME"
    ANY_GIVEN_NAME = "ANY_GIVEN_NAME"


WORDS = {
    Check.DATE_OF_BIRTH: "The NHS record of this number has another date of birth. Check number and date of birth.",
    Check.FAMILY_NAME: "The NHS record of this number has another family name. Check the number, the spelling and former names.",
    Check.GIVEN_NAMES: "The NHS record of this number has no such first name. Check the number and the name given at birth.",
}

_ONE_LETTER = ("\u00f8\u0142\u0111\u00f0\u0131", "olddi")  # o with a stroke, l and d with one, eth, dotless i
_SEVERAL = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}

IDENTITIES = pa.schema(
    [
        pa.field("nhs_number", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("family_name", pa.string(), nullable=False),
        pa.field("given_name", pa.string(), nullable=False),
        pa.field("date_of_birth", pa.date32(), nullable=False),
    ]
)


def _plain(column: str) -> str:
    """SQL: small letters without accents, all else as it was. What is ASCII, nine names in ten, is spared the rest."""
    sql = f"translate(lower(strip_accents(nfc_normalize({column}))), '{_ONE_LETTER[0]}', '{_ONE_LETTER[1]}')"
    for letter, written in _SEVERAL.items():
        sql = f"replace({sql}, '{letter}', '{written}')"
    return f"CASE WHEN strlen({column}) = length({column}) THEN lower({column}) ELSE {sql} END"


def family_in_sql(column: str) -> str:
    """SQL for a family name, normalised."""
    return rf"regexp_replace({_plain(column)}, '[^\p{{L}}]', '', 'g')"


def given_in_sql(column: str) -> str:
    """SQL for given names, normalised: a list of names. They are parted by white space; a hyphen parts none."""
    parted = rf"regexp_replace(regexp_replace({_plain(column)}, '[\s\p{{Z}}]+', ' ', 'g'), '[^\p{{L}} ]', '', 'g')"
    return f"list_filter(string_split({parted}, ' '), lambda name: name <> '')"


def identity_in_sql() -> str:
    """SQL for the digest of an identity, over nhs_number, family_name, given_name and date_of_birth.

    The number is in it, so that nothing of it ties one number to another.
    """
    return (
        f"left(sha256(concat_ws(chr(31), nhs_number, {family_in_sql('family_name')},"
        f" array_to_string({given_in_sql('given_name')}, ' '), CAST(date_of_birth AS VARCHAR))), 32)"
    )


def identified(plans: pa.Table) -> pa.Table:
    """`plans` with the column `identity`, for what is asked of them more than once: to make it takes 0.3 s for all of England."""
    made = query(f"SELECT *, {identity_in_sql()} AS identity FROM plans", {"plans": plans})
    return made.cast(plans.schema.append(pa.field("identity", pa.string(), nullable=False)))


def identity_of(plans: pa.Table) -> str:
    """SQL for the identity of a row of `plans`: its column where they are `identified`, else the digest."""
    return "identity" if "identity" in plans.column_names else identity_in_sql()


def identities(plans: pa.Table) -> pa.Table:
    """IDENTITIES of plans (register.schema.PLANS, `identified` or not), each once.

    Names are as the authority writes them; of several spellings that come to one identity the first in the alphabet.
    """
    return query(
        f"""
        SELECT nhs_number, {identity_of(plans)} AS identity,
            min(family_name) AS family_name, min(given_name) AS given_name, any_value(date_of_birth) AS date_of_birth
        FROM plans GROUP BY nhs_number, {identity_of(plans)} ORDER BY identity
        """,
        {"plans": plans},
    ).cast(IDENTITIES)


def compared_in_sql(pairs: str) -> str:
    """SQL for the rows of `pairs`, as `compared` has them."""
    return f"""
        SELECT * EXCLUDE (family, pds_family, given, pds_given, by_name),
            CASE WHEN date_of_birth IS DISTINCT FROM pds_date_of_birth THEN '{Check.DATE_OF_BIRTH}'
                 WHEN family = '' OR family <> pds_family THEN '{Check.FAMILY_NAME}'
                 WHEN by_name IS NULL THEN '{Check.GIVEN_NAMES}' END AS "check",
            CASE WHEN "check" IS NULL THEN by_name END AS matched_by
        FROM (
            SELECT *, CASE WHEN len(given) = 0 THEN NULL
                WHEN array_to_string(given, '') = array_to_string(pds_given, '') THEN '{MatchedBy.FULL_GIVEN_NAMES}'
                WHEN given[1] = pds_given[1] THEN '{MatchedBy.FIRST_GIVEN_NAME}'
                WHEN list_contains(pds_given, given[1]) THEN '{MatchedBy.ANY_GIVEN_NAME}' END AS by_name
            FROM (
                SELECT *, {family_in_sql("family_name")} AS family,
                    {family_in_sql("coalesce(pds_family_name, '')")} AS pds_family,
                    {given_in_sql("given_name")} AS given, {given_in_sql("coalesce(pds_given_name, '')")} AS pds_given
                FROM {pairs}))
        """


def compared(pairs: pa.Table) -> pa.Table:
    """`pairs` with `check` (the first that failed, else null) and `matched_by` (null where one did) added.

    Takes family_name, given_name, date_of_birth (the authority's) and pds_family_name, pds_given_name, pds_date_of_birth (null:
    PDS has none, which fails). The numbers agree already.
    """
    return query(compared_in_sql("pairs"), {"pairs": pairs})
