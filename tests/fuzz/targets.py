"""What is fuzzed: each target takes bytes and may raise errors of our own tree alone; what it gives is held to what is known."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

from click.testing import CliRunner

from cpis_batch.audit.entry import Head
from cpis_batch.cli import cli
from cpis_batch.config import Limits
from cpis_batch.envelope import status
from cpis_batch.envelope.certificates import generate, inspect
from cpis_batch.envelope.desk import open_at_desk
from cpis_batch.envelope.opening import GpgHome, open_message
from cpis_batch.envelope.outcome import Opened, Unopened
from cpis_batch.envelope.sealing import seal
from cpis_batch.errors import CpisError
from cpis_batch.exchange.mailbox import Entry
from cpis_batch.exchange.naming import entry_of, is_plain
from cpis_batch.files import digest_of
from cpis_batch.intake import answer_forms, file_facts, names
from cpis_batch.intake.acknowledge import Answer
from cpis_batch.intake.check import CheckContext, check
from cpis_batch.intake.lines import Refused
from cpis_batch.intake.read import read_extract
from cpis_batch.vocabulary import Environment, FileOutcome, FileState
from tests.access_builders import HEADER, LINE, read
from tests.builders import HACKNEY, nhs
from tests.envelope_kit import Council
from tests.extracts import d, extract
from tests.fuzz.mutate import mutant, mutant_bytes

_SAMPLES = Path(__file__).parents[2] / "sample_data"
_DAY = date(2026, 11, 20)

Reader = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """`ready` gives, for a block, what reads and the samples to mutate; `share` of a budget counts how slow it is."""

    name: str
    share: float
    ready: Callable[[], Iterator[tuple[Reader, Sequence[bytes]]]]
    mutants: Callable[[Sequence[bytes], Random], bytes] = mutant


# text


def _extracts() -> list[bytes]:
    made = extract(*(d(n, family_name="Smith, Jones", given_name="Zoë") for n in range(4)), d(5, end_date="2026-10-01"))
    return [made, extract(), *(path.read_bytes() for path in sorted(_SAMPLES.rglob("*.csv")))]


def _read_extract(data: bytes) -> None:
    reading = read_extract(data)
    file_facts.facts(reading)
    verdict = check(reading, CheckContext(HACKNEY, Environment.TEST, _DAY))
    if not isinstance(reading, Refused):
        assert verdict.outcomes.num_rows in (0, reading.rows.num_rows), "every row has one outcome, or the file has"
        assert verdict.accepted.num_rows <= reading.rows.num_rows


def the_extract() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    yield _read_extract, _extracts()


def _read_events(data: bytes) -> None:
    found = read(data)
    assert found.rows == found.events.num_rows + found.rejected + found.repeated


def the_events() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    device = f"D,e-2,2026-11-19T08:12:44Z,{nhs(2)},DEVICE,Ward 3,,Jo Smith,RX101,Seaside,OUTPATIENTS,N"
    files = ["\n".join([HEADER, *lines, f"T,{len(lines)}", ""]).encode() for lines in ([LINE, device, LINE], [])]
    yield _read_events, files


def _name(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if (parsed := names.parse(text)) is not None:
        assert str(parsed) == text
    entry = entry_of(data, 0o100600, len(data), float(len(data)))
    if isinstance(entry, Entry):
        assert is_plain(entry.name)
        assert not set(entry.name) & set("/\\\0\n\r\x1b\u202e")
        assert ".." not in entry.name
    else:
        assert entry in {"name", "hidden"}


def the_names() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    yield _name, [b"CPIS_LA_E09000012_FULL_00000118_20261119T234000Z.csv.pgp", "Zoë.pgp".encode(), b".cpis-1.tmp"]


def _attributes(data: bytes) -> None:
    """A mode, a size and a time, as a server may write them; then the name."""
    mode, size, modified = struct.unpack(">IQd", data[:20].ljust(20, b"\0"))
    entry_of(data[20:], mode, size, modified)


def the_attributes() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    yield _attributes, [struct.pack(">IQd", 0o100600, 6, 1.7e9) + b"a.pgp", struct.pack(">IQd", 0o120777, 2**63, -1.0)]


def the_status() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """gpg's status lines: whatever they are, no verdict but the two."""
    lines = (
        b"[GNUPG:] ENC_TO 1 18 0\n[GNUPG:] DECRYPTION_KEY A B u\n[GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] PLAINTEXT 62 1 x\n"
        b"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 1 LA\n[GNUPG:] VALIDSIG F 2026-11-19 1 0 4 0 22 8 00 F\n[GNUPG:] DECRYPTION_OKAY\n"
        b"[GNUPG:] GOODMDC\n[GNUPG:] END_DECRYPTION\n"
    )
    assert isinstance(status.judge(lines, {"F"}), status.Sound)

    def judged(data: bytes) -> None:
        verdict = status.judge(data, {"F"})
        assert isinstance(verdict, status.Sound | status.Unsound)
        assert not isinstance(verdict, status.Sound) or verdict.signer == "F"

    yield judged, [lines]


# envelopes


@dataclass(frozen=True)
class _Parties:
    hub: bytes
    hub_secret: bytes
    la: bytes
    la_secret: bytes

    @property
    def senders(self) -> dict[str, bytes]:
        return {inspect(self.la).fingerprint: self.la}


def _parties() -> _Parties:
    hub, la = generate(["Hub <hub@example.org>", "LA <la@example.org>"], expires=date(2040, 1, 1))
    return _Parties(hub.certificate, hub.secret, la.certificate, la.secret)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        yield Path(folder)


def the_envelope() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """A sealed message, mutated: what gpg does with it stays behind its wall, and no other plaintext is ever given out."""
    people = _parties()
    plain = extract(d(1))
    council = Council().has(people.hub, people.la_secret)
    fingerprint, signer = inspect(people.hub).fingerprint, inspect(people.la).fingerprint
    words = ("--trust-model=always", "-r", fingerprint, "-u", signer, "--sign", "--encrypt")
    sealed = [
        seal(plain, recipients=[people.hub], signer=people.la_secret),
        council.gpg(*words, given=plain),
        council.gpg("--armor", *words, given=plain),
    ]
    with _folder() as folder, GpgHome([people.hub_secret]) as home:

        def opened(data: bytes) -> None:
            (folder / "message.pgp").write_bytes(data)
            outcome = open_message(folder / "message.pgp", gpg_home=home.path, allowed=people.senders, limits=Limits())
            assert isinstance(outcome, Unopened) or (isinstance(outcome, Opened) and outcome.plaintext == plain)
            assert {path.name for path in folder.iterdir()} == {"message.pgp"}

        yield opened, sealed
    council.close()


def the_packets() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """Packets inside a sound encryption: signature, compression and literal are mutated, and sealed to the hub anew."""
    people = _parties()
    plain = extract(d(1))
    council = Council().has(people.hub, people.la_secret)
    fingerprint, signer = inspect(people.hub).fingerprint, inspect(people.la).fingerprint
    signed = council.gpg("-u", signer, "--compress-algo=none", "--sign", given=plain)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    samples = [signed, b"\xa3\x01" + deflate.compress(signed) + deflate.flush(), council.gpg("-u", signer, "--sign", given=plain)]
    around = ("--trust-model=always", "--no-literal", "--compress-algo=none", "-r", fingerprint, "--encrypt")
    with _folder() as folder, GpgHome([people.hub_secret]) as home:

        def opened(data: bytes) -> None:
            (folder / "message.pgp").write_bytes(council.gpg(*around, given=data))
            outcome = open_message(folder / "message.pgp", gpg_home=home.path, allowed=people.senders, limits=Limits())
            assert isinstance(outcome, Unopened) or (isinstance(outcome, Opened) and outcome.plaintext == plain)

        opened(signed)
        yield opened, samples
    council.close()


def the_desk() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """A sealed message at a desk, where PySequoia opens it."""
    people = _parties()
    plain = extract(d(1))

    def opened(data: bytes) -> None:
        outcome = open_at_desk(data, secret=people.hub_secret, senders=people.senders)
        assert isinstance(outcome, Unopened) or outcome.plaintext == plain

    yield opened, [seal(plain, recipients=[people.hub], signer=people.la_secret)]


# commands


def _typed(*words: str) -> None:
    """A command, in this process: it prints and ends with a published code, or raises an error of ours."""
    done = CliRunner().invoke(cli, ["--now", "2026-11-20T12:00:00Z", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 65), done.exit_code


def the_check_command() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """`la check`, in words and as JSON by turns."""
    with _folder() as folder:

        def checked(data: bytes) -> None:
            (folder / "extract.csv").write_bytes(data)
            _typed("la", "check", str(folder / "extract.csv"), *(["--json"] if len(data) % 2 else []))

        yield checked, _extracts()


def _answer() -> bytes:
    at = datetime(2026, 11, 20, 2, tzinfo=UTC)
    return answer_forms.render(
        Answer(
            reference="A1", la_code=HACKNEY, la_name="Hackney", file_name="CPIS_LA_x.csv.pgp", file_digest="0" * 64,
            received_at=at, answered_at=at, state=FileState.MERGED, outcome=FileOutcome.ALL_LOADED, sequence=118,
            audit=Head(7, "0" * 64),
        )
    )  # fmt: skip


def the_answer() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """`la read-ack` of zips and documents that the hub has signed and no hub of ours would make."""
    people = _parties()
    with _folder() as folder:
        (folder / "hub.asc").write_bytes(people.hub)
        (folder / "own.key").touch(mode=0o600)
        (folder / "own.key").write_bytes(people.la_secret)

        def reads(data: bytes) -> None:
            sealed = seal(data, recipients=[people.la], signer=people.hub_secret)
            (folder / "answer.zip.pgp").write_bytes(sealed)
            words = ("--key", str(folder / "own.key"), "--hub", str(folder / "hub.asc"), "--out", str(folder / "out"))
            _typed("la", "read-ack", str(folder / "answer.zip.pgp"), *words)

        yield reads, [_answer(), *_documents()]


def _documents() -> list[bytes]:
    """Zips whose JSON is another than it should be."""
    with zipfile.ZipFile(io.BytesIO(_answer())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole = json.loads(members["acknowledgement.json"])
    texts = [json.dumps(whole | {key: value}).encode() for key in whole for value in (None, [], {}, 7, "x", [{}], [None])]
    texts += [b"", b"[]", b"null", b"[" * 100_000, b'{"file":' * 5000, b"\xff\xfe", b'{"file": {"name": "\\ud800"}}']
    found = [zipped(members | {"acknowledgement.json": text}) for text in texts]
    return [*found, zipped({"other": b""}), zipped(members | {"acknowledgement.html": bytes(5_000_000)})]


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip with these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def the_unit() -> Iterator[tuple[Reader, Sequence[bytes]]]:
    """`chis open` with a manifest of the hub's, mutated."""
    people = _parties()
    plain = b"nhs_number\r\n"
    told = {"name": "CPIS_CHIS_CHIS02_2026F23_0001.csv", "sha256": digest_of(plain), "bytes": len(plain), "rows": 0}
    manifest = {"file": told, "counts": {}}
    with _folder() as folder:
        (folder / "hub.asc").write_bytes(people.hub)
        (folder / "own.key").touch(mode=0o600)
        (folder / "own.key").write_bytes(people.la_secret)
        (folder / "extract.csv.pgp").write_bytes(seal(plain, recipients=[people.la], signer=people.hub_secret))

        def opens(data: bytes) -> None:
            (folder / "manifest.pgp").write_bytes(seal(data, recipients=[people.la], signer=people.hub_secret))
            keys = ("--key", str(folder / "own.key"), "--hub", str(folder / "hub.asc"))
            try:
                _typed("chis", "open", str(folder / "extract.csv.pgp"), *keys, "--manifest", str(folder / "manifest.pgp"))
            except CpisError:
                assert not (folder / "extract.csv").exists(), "nothing is written of what is refused"
                raise
            (folder / "extract.csv").unlink(missing_ok=True)

        yield opens, [json.dumps(manifest).encode(), b"{}", b'{"file": {}}', b"[" * 100_000, b"\xff"]


TARGETS = {
    target.name: target
    for target in (
        Target("extract", 0.3, the_extract),
        Target("events", 0.3, the_events),
        Target("names", 20, the_names),
        Target("attributes", 20, the_attributes, mutant_bytes),
        Target("status", 10, the_status),
        Target("envelope", 0.3, the_envelope, mutant_bytes),
        Target("packets", 0.15, the_packets, mutant_bytes),
        Target("desk", 3, the_desk, mutant_bytes),
        Target("check-command", 0.3, the_check_command),
        Target("answer", 1, the_answer, mutant_bytes),
        Target("unit", 1, the_unit),
    )
}
