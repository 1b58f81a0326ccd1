"""The audit log as values: its form, and what any change to it comes to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpis_batch.audit import chain, witness
from cpis_batch.audit.entry import NOTHING, Deed, Entry, Head, Kind, hash_of, linked
from cpis_batch.audit.signing import Signer, is_signed

KEY, NEXT, FORGER = Signer(b"k" * 32), Signer(b"n" * 32), Signer(b"f" * 32)
AT = "2026-11-20T02:00:00Z"
COMMITS = [Deed(Kind.COMMIT, {"commit": number, "kind": "INTAKE", "seal": f"{number}" * 64}) for number in range(1, 4)]
ANSWER = Deed(Kind.ACKNOWLEDGEMENT, {"arrival": 7, "partner": "E09000012", "outcome": None})


def begins(signer: Signer) -> Deed:
    return Deed(Kind.AUDIT_KEY, {chain.BEGINS: signer.public})


def announces(signer: Signer) -> Deed:
    return Deed(Kind.AUDIT_KEY, {chain.ANNOUNCES: signer.public})


def log(*written: tuple[Deed, Signer | None], after: Sequence[Entry] = ()) -> list[Entry]:
    """A log of deeds, each signed or not, after the entries of another."""
    entries = list(after)
    for deed, signer in written:
        entries.append(linked(entries[-1].head if entries else Head(0, NOTHING), deed, AT, signer))
    return entries


def whole() -> list[Entry]:
    """A log with a transaction of two entries, and a key replaced."""
    return log(
        (begins(KEY), KEY), (COMMITS[0], None), (ANSWER, KEY), (announces(NEXT), KEY), (begins(NEXT), NEXT), (COMMITS[1], NEXT)
    )


def broken_at(entries: list[Entry], key: Signer = NEXT) -> int | None:
    fault = chain.fault_of(entries, key.public)
    return fault and fault.entry


def test_the_canonical_form_is_the_published_one():
    (first,) = log((Deed(Kind.COMMAND, {"reason": "ü\n", "by": 'A "O"', "hold": 2}), None))
    form = (
        '{"at":"2026-11-20T02:00:00Z","before":"' + "0" * 64 + '","format":"CPIS-AUDIT 1.0","kind":"COMMAND","number":1,'
        '"signed":false,"what":{"by":"A \\"O\\"","hold":2,"reason":"ü\\n"}}'
    )
    assert first.hash == hashlib.sha256(form.encode()).hexdigest()


def test_a_whole_log_is_found_whole():
    assert chain.fault_of(whole(), NEXT.public) is None


@given(place=st.integers(0, 5), name=st.sampled_from(["at", "kind", "what", "before", "hash", "signature"]), data=st.data())
def test_any_bit_that_flips_is_found(place, name, data):
    entries = whole()
    text = getattr(entries[place], name)
    if text is None:
        return
    raw = bytearray(text.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    spoilt = msgspec.structs.replace(entries[place], **{name: raw.decode(errors="backslashreplace")})
    assert broken_at([*entries[:place], spoilt, *entries[place + 1 :]]) is not None


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("bit", [1, 2, 1 << 40])
def test_a_bit_of_a_number_that_flips_is_found(place, bit):
    entries = whole()
    entries[place] = msgspec.structs.replace(entries[place], number=entries[place].number ^ bit)
    assert broken_at(sorted(entries, key=lambda entry: entry.number)) is not None


def test_a_signature_taken_away_or_put_to_an_unsigned_entry_is_found():
    entries = whole()
    unsigned = [msgspec.structs.replace(one, signature=None) if one.number == 3 else one for one in entries]
    assert broken_at(unsigned) == 3
    signed = [msgspec.structs.replace(one, signature=KEY.sign(one.hash)) if one.number == 2 else one for one in entries]
    assert broken_at(signed) == 2


def test_an_entry_of_the_same_key_s_from_another_story_is_found():
    one = log((begins(KEY), KEY), (COMMITS[0], KEY), (COMMITS[1], KEY))
    other = log((begins(KEY), KEY), (COMMITS[2], KEY), (COMMITS[1], KEY))
    assert chain.fault_of([*one[:2], other[2]], KEY.public) == chain.Fault(3, "entry 3 does not follow on the one before it")
    skipping = linked(Head(5, one[1].hash), COMMITS[1], AT, KEY)
    words = "entry 3 is missing: entry 6 stands in its place"
    assert chain.fault_of([*one[:2], skipping], KEY.public) == chain.Fault(3, words)


def test_entries_swapped_or_taken_out_are_found_where_it_begins():
    entries = whole()
    assert broken_at([entries[0], entries[2], entries[1], *entries[3:]]) == 2
    assert broken_at([*entries[:2], *entries[3:]]) == 3


def test_a_log_cut_within_a_transaction_or_before_its_key_is_found():
    entries = whole()
    assert broken_at(entries[:2], KEY) == 2
    assert broken_at(entries[:4], KEY) == 4  # a key is announced that never begins
    assert broken_at(entries[:3]) == 3  # the home holds the next key already
    assert chain.fault_of([], KEY.public) == chain.Fault(None, "the log is empty")


def test_a_log_cut_between_transactions_is_whole_in_itself_and_is_found_by_a_witness():
    entries = whole()
    assert chain.fault_of(entries[:5], NEXT.public) is None
    seen = entries[5].head
    assert [fault.what for fault in witness.faults_of(entries[:5], [entries[1].head, seen])] == [
        "a witness has seen entry 6; the log ends with entry 5"
    ]
    other = log((COMMITS[2], NEXT), after=entries[:5])
    assert [fault.entry for fault in witness.faults_of(other, [seen])] == [6]


def rechained(entries: list[Entry], signer: Signer) -> list[Entry]:
    """Entries made to follow each other again and signed anew, as who can write to the table but has another key would."""
    made: list[Entry] = []
    for entry in entries:
        before = made[-1].hash if made else NOTHING
        new = msgspec.structs.replace(entry, before=before)
        new = msgspec.structs.replace(new, hash=hash_of(new))
        made.append(msgspec.structs.replace(new, signature=new.signature and signer.sign(new.hash)))
    return made


def test_who_has_not_the_key_cannot_write_an_entry_anew():
    entries = whole()
    spoilt = msgspec.structs.replace(entries[2], what=ANSWER.text.replace("E09000012", "E09000013"))
    assert broken_at(rechained([*entries[:2], spoilt, *entries[3:]], FORGER)) == 1
    assert broken_at([*entries[:2], *rechained([spoilt], FORGER), *entries[3:]]) == 3


def test_who_has_not_the_key_cannot_make_a_log_of_his_own():
    forged = log((begins(FORGER), FORGER), (COMMITS[2], FORGER))
    assert broken_at(forged) == 2  # it ends under a key that this home does not hold
    assert broken_at(log((begins(NEXT), FORGER))) == 1  # nor can it name the home's key without it
    handed_over = log((begins(FORGER), FORGER), (announces(NEXT), FORGER), (begins(NEXT), FORGER))
    assert broken_at(handed_over) == 3
    assert broken_at(handed_over[:2]) == 2


@pytest.mark.parametrize(
    "entries",
    [
        log((COMMITS[0], KEY)),
        log((announces(KEY), KEY)),
        log((begins(KEY), KEY), (begins(NEXT), NEXT)),
        log((begins(KEY), KEY), (announces(NEXT), KEY), (COMMITS[0], KEY)),
        log((begins(KEY), KEY), (announces(NEXT), KEY), (begins(FORGER), FORGER)),
        log((begins(KEY), KEY), (Deed(Kind.AUDIT_KEY, {"begins": KEY.public, "announces": NEXT.public}), KEY)),
    ],
)
def test_a_key_comes_into_force_only_as_the_page_says(entries):
    assert broken_at(entries) == len(entries)


def test_a_key_is_announced_under_signature_and_begins_at_once():
    unsigned = log((begins(KEY), KEY), (announces(NEXT), None), (begins(NEXT), NEXT))
    assert chain.fault_of(unsigned, NEXT.public) == chain.Fault(2, "entry 2 names a key and is not signed")
    late = log((begins(KEY), KEY), (announces(NEXT), KEY), (COMMITS[0], KEY), (begins(NEXT), NEXT))
    words = "entry 3 does not begin the key that the entry before announces"
    assert chain.fault_of(late, NEXT.public) == chain.Fault(3, words)


def test_a_signature_counts_in_one_spelling_alone():
    signature = KEY.sign("a" * 64)
    assert is_signed("a" * 64, signature, KEY.public)
    assert not is_signed("a" * 64, signature.upper(), KEY.public)
    assert not is_signed("a" * 64, signature, NEXT.public)
    assert not is_signed("a" * 64, "no hexadecimal", KEY.public)


@pytest.mark.parametrize("text", ["", "7", f"x:{'0' * 64}", f"7:{'0' * 63}", f"7:{'G' * 64}", f"\u0667:{'0' * 64}"])
def test_what_is_no_head_is_not_taken_for_one(text):
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        Head.parse(text)


def test_a_head_reads_as_it_is_written():
    head = Head(214, "8c1f" * 16)
    assert Head.parse(f" {head}\n") == head
    assert witness.head_in(msgspec.json.encode({"audit": head})) == head
    for lacking in (b"{}", b"[]", b'{"audit": null}', b'{"audit": {"number": 1}}'):
        with pytest.raises(ValueError, match="head"):
            witness.head_in(lacking)
