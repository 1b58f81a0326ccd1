"""`keys`: make our own keys, take partners' certificates, and see which of them run out."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cpis_batch.cli.context import Context, Day, table
from cpis_batch.errors import Exit

if TYPE_CHECKING:
    from cpis_batch.envelope.inventory import Item

_VERSION = "1.0"
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")


@click.group()
def keys() -> None:
    """Make, list, import and check keys."""


@keys.group()
def make() -> None:
    """Make a key of the hub's own."""


@make.command()
@_dry_run
@click.pass_obj
def master(context: Context, dry_run: bool) -> None:
    """Make the master key, which wraps every key at rest. It is never replaced; keep a copy of it in a safe."""
    from cpis_batch import keystore

    path = context.home / keystore.FILE_NAME
    if dry_run:
        _emit(
            context,
            f"Would make {path}." if not path.exists() else f"There is a master key at {path}.",
            {"path": str(path)},
            dry_run,
        )
        return
    keystore.make_master_key(path)
    _emit(context, f"Made {path}. Keep a copy of it in a safe: without it nothing in this home can be read.", {"path": str(path)})


@make.command()
@click.option(
    "--user-id", help="Whom partners see: 'Name <address>'. Default: the service's name, and an address that takes no mail."
)
@click.option("--from", "starts", type=Day(), help="First day on which it signs. Default: today.")
@click.option("--to", "ends", type=Day(), help="Last day on which it is accepted. Default: two years after the first.")
@click.option("--overlap-days", default=60, show_default=True, help="How long keys before it are accepted after its first day.")
@_dry_run
@click.pass_obj
def hub(context: Context, user_id: str | None, starts: date | None, ends: date | None, overlap_days: int, dry_run: bool) -> None:
    """Make the hub's next OpenPGP key. Give its certificate to every partner well before its first day: keys export."""
    from cpis_batch import config, keystore
    from cpis_batch.envelope import hub as hub_keys
    from cpis_batch.runs import keys_log

    settings = config.load(context.home)
    user_id = user_id or f"{settings.service.name} {settings.service.environment} <hub@cpis-batch.invalid>"
    first = starts or context.today
    last = ends or first + timedelta(days=730)
    data: dict[str, object] = {"user_id": user_id, "from": first, "to": last}
    wrapping = keystore.load_master_key(context.home, settings)
    if dry_run:
        _emit(context, f"Would make a key for {user_id}, {first} to {last}.", data, dry_run)
        return
    tell = keys_log.teller(context.home, context.now)
    made = hub_keys.make(
        context.home,
        wrapping,
        user_id=user_id,
        starts=first,
        ends=last,
        overlap_days=overlap_days,
        before=lambda key: tell("hub key made", fingerprint=key.fingerprint, starts=first, ends=last, overlap_days=overlap_days),
    )
    _emit(
        context,
        f"Made {made.fingerprint} for {user_id}: it signs from {first}, and is accepted until {last}.\n"
        "Give its certificate to every partner: cpis-batch keys export --next",
        data | {"fingerprint": made.fingerprint},
    )


@make.command()
@_dry_run
@click.pass_obj
def ssh(context: Context, dry_run: bool) -> None:
    """Make the SSH key with which the hub logs in to partners' servers; prints the line to give to their operators."""
    from cpis_batch import ssh_keys
    from cpis_batch.runs import keys_log

    path = context.home / ssh_keys.FILE_NAME
    if dry_run:
        _emit(
            context,
            f"Would make {path}." if not path.exists() else f"There is an SSH key at {path}.",
            {"path": str(path)},
            dry_run,
        )
        return
    tell = keys_log.teller(context.home, context.now)
    line = ssh_keys.make_client_key(
        path, "cpis-batch", before=lambda made: tell("SSH key made", fingerprint=ssh_keys.fingerprint(made))
    )
    _emit(
        context,
        f"Made {path}. Give this line to the operators of the servers:\n{line}",
        {"path": str(path), "public": line, "fingerprint": ssh_keys.fingerprint(line)},
    )


@make.command()
@_dry_run
@click.pass_obj
def audit(context: Context, dry_run: bool) -> None:
    """Make the key that signs the audit log. Where there is one, the new one takes its place, and the log says so under both."""
    from cpis_batch.runs import keys_log

    if dry_run:
        public = keys_log.audit_key_of(context.home)
        words = f"Would replace the audit key {public}." if public else "Would make an audit key and begin the audit log."
        _emit(context, words, {"replaces": public}, dry_run)
        return
    made = keys_log.make_audit_key(context.home, context.now)
    words = f"Made the audit key {made.public}. It has signed the log since entry {made.entry}."
    _emit(context, words, {"public": made.public, "entry": made.entry})


@keys.command("list")
@_json
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """Every key, certificate and agreement, and until when each is good."""
    context = context.with_json(as_json)
    items = _items(context)
    rows: list[tuple[object, ...]] = [
        (item.kind, item.owner, item.name, item.starts, item.ends, item.state, item.text) for item in items
    ]
    context.emit(table(("what", "owner", "name", "from", "to", "state", ""), rows), _document(items))


@keys.command()
@_json
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """What of keys, certificates and agreements needs a person. Exit code 3 where one runs out soon, 77 where one is broken."""
    from cpis_batch.envelope.inventory import State

    context = context.with_json(as_json)
    found = [item for item in _items(context) if item.state in (State.DUE, State.BROKEN)]
    lines = [f"{item.state}  {item.owner}  {item.kind} {item.name}: {item.text}\n      {item.advice}" for item in found]
    context.emit("\n".join(lines) if found else "All keys, certificates and agreements are good.", _document(found))
    broken = any(item.state is State.BROKEN for item in found)
    click.get_current_context().exit(Exit.KEY if broken else Exit.PERSON_NEEDED if found else Exit.DONE)


@keys.command("import")
@click.option("--party", required=True, metavar="CODE", help="The partner whose certificate it is: the name of its folder.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--from", "starts", type=Day(), help="First day on which we accept it. Default: today.")
@click.option("--to", "ends", type=Day(), help="Last day. Default: until it expires, or the agreement ends.")
@click.option("--shared", is_flag=True, help="It is right that another partner has the same certificate.")
@_dry_run
@click.pass_obj
def import_(
    context: Context, party: str, file: Path, starts: date | None, ends: date | None, shared: bool, dry_run: bool
) -> None:
    """Take a partner's certificate: from then on what it signs is believed to be that partner's."""
    from cpis_batch.envelope.importing import Imported, import_certificate
    from cpis_batch.runs import keys_log

    def tell(taken: Imported) -> None:
        keys_log.teller(context.home, context.now)(
            "certificate imported",
            party=party,
            fingerprint=taken.fingerprint,
            starts=taken.starts,
            ends=taken.ends,
            renewed=taken.renewed,
            shared=shared,
        )

    taken = import_certificate(
        context.home,
        party,
        file.read_bytes(),
        now=context.now,
        starts=starts,
        ends=ends,
        shared=shared,
        dry_run=dry_run,
        before=tell,
    )
    lines = [
        f"{'Would take' if dry_run else 'Took'} the certificate of {party}{', renewed' if taken.renewed else ''}.",
        f"Accepted from {taken.starts} to {taken.ends}:",
        f"  {taken.spoken}",
        *(f"  {ascii(user_id)[1:-1] if not user_id.isprintable() else user_id}" for user_id in taken.user_ids),
        "Have the partner read the fingerprint out to you, over a number that you know.",
    ]
    if not taken.gnupg_can_read:
        lines.append("GnuPG cannot read what is sealed to this certificate; its owner opens our files with cpis-batch.")
    data = {
        "party": party,
        "fingerprint": taken.fingerprint,
        "user_ids": taken.user_ids,
        "from": taken.starts,
        "to": taken.ends,
        "renewed": taken.renewed,
        "gnupg_can_read": taken.gnupg_can_read,
    }
    _emit(context, "\n".join(lines), data, dry_run)


@keys.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of the terminal.")
@click.option("--next", "following", is_flag=True, help="The newest certificate, although it does not sign yet.")
@click.pass_obj
def export(context: Context, output: Path | None, following: bool) -> None:
    """The hub's certificate, as text, to give to partners."""
    from cpis_batch import files
    from cpis_batch.envelope import certificates
    from cpis_batch.envelope import hub as hub_keys

    known = hub_keys.listed(context.home)
    entry = known[-1] if following and known else hub_keys.signing(known, context.today)
    found = certificates.inspect(hub_keys.certificate(context.home, entry))
    if output is not None:
        files.write(output, found.armored, mode=0o644)
    words = found.armored.decode() if output is None else f"Wrote the certificate {found.fingerprint} to {output}."
    context.emit(
        words.rstrip("\n"), {"version": _VERSION, "fingerprint": found.fingerprint, "certificate": found.armored.decode()}
    )


def _items(context: Context) -> list[Item]:
    from cpis_batch import config
    from cpis_batch.envelope.inventory import inventory

    return inventory(context.home, config.load(context.home), context.today)


def _document(items: list[Item]) -> dict[str, object]:
    return {
        "version": _VERSION,
        "keys": [
            {
                "kind": item.kind,
                "owner": item.owner,
                "name": item.name,
                "state": item.state,
                "from": item.starts,
                "to": item.ends,
                "days_left": item.days_left,
                "text": item.text,
                "advice": item.advice,
            }
            for item in items
        ],
    }


def _emit(context: Context, words: str, data: dict[str, object], dry_run: bool = False) -> None:
    context.emit(words, {"version": _VERSION, "dry_run": dry_run} | data)
