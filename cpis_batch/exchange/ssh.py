"""One SSH connection to a partner's server: its host key is the pinned one, our key is the only thing that we show.

No agent, no known_hosts of a user, no look for other keys, no password, no GSSAPI: Transport does what it is told here
and nothing else. Every wait has an end: `connect_seconds` for TCP, for the handshake and for the login, each.
"""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.ssh_exception import IncompatiblePeer

from cpis_batch import ssh_keys
from cpis_batch.config import SftpServer
from cpis_batch.errors import ConfigFault, HostKeyFault, KeyFault, PartnerRefused, PartnerUnreachable
from cpis_batch.exchange.floods import Line, Packets, Unread
from cpis_batch.exchange.packets import WINDOW
from cpis_batch.exchange.patience import Deadline
from cpis_batch.exchange.wire import Wire

KEEP_ALIVE_SECONDS = 30

# paramiko logs what servers say, with tracebacks; what matters of it is in our errors, so its own record ends here.
LOG = "cpis_batch.exchange.paramiko"
logging.getLogger(LOG).addHandler(logging.NullHandler())
logging.getLogger(LOG).propagate = False

_RSA = "ssh-rsa"  # a type of key; the signatures offered for it are the SHA-2 ones alone
_SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    _RSA: ("rsa-sha2-512", "rsa-sha2-256"),
}
# paramiko still offers CBC, 3DES, MD5 and SHA-1 to servers that have nothing else. Those have to be replaced, not used.
_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")


def private_key(data: bytes) -> paramiko.PKey:
    """The SSH key in `data` (OpenSSH or PEM, without a passphrase). KeyFault where there is none that can be used."""
    advice = "Make one with: cpis-batch keys make ssh, or ssh-keygen -t ed25519 -N ''"
    try:
        load = serialization.load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else serialization.load_pem_private_key
        key = load(data, None)
        text = io.StringIO(data.decode("ascii"))
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return paramiko.Ed25519Key(file_obj=text)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return paramiko.ECDSAKey(file_obj=text)
        if isinstance(key, rsa.RSAPrivateKey):
            return paramiko.RSAKey(file_obj=text)
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException):
        raise KeyFault("The SSH key cannot be read: it is damaged, or has a passphrase.", advice) from None
    raise KeyFault("The SSH key is of a type that servers no longer take.", advice)


def public_line(key: paramiko.PKey) -> str:
    """The public half, as known_hosts, authorized_keys and `host_keys` hold it."""
    return f"{key.get_name()} {key.get_base64()}"


def connected_socket(host: str, port: int, seconds: float, silence: float) -> socket.socket:
    """A TCP connection with TCP_NODELAY, dropped by the kernel where the other side takes no bytes for `silence` seconds.

    Small requests that wait for one another are what SFTP is: with Nagle's algorithm 153 small files over loopback took
    2.4 s instead of 0.33 s (measured). Without the second limit a write to a server that stopped reading never ends.
    """
    opened = socket.create_connection((host, port), timeout=seconds)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence * 1000))
    return opened


class Connection:
    """A connection that is logged in. `sftp` opens sessions on it, from any thread."""

    def __init__(self, settings: SftpServer, key: paramiko.PKey) -> None:
        """Connect and log in. PartnerUnreachable, HostKeyFault, PartnerRefused (the login), ConfigFault (`host_keys`)."""
        self._settings = settings
        self.where = f"{settings.host}:{settings.port}"
        pinned = _pinned(settings.host_keys)
        self._transport, shown = self._handshake([name for kind in pinned for name in _SIGNATURES[kind]])
        if shown is None:
            # No key of a pinned type: ask what there is, to name it in the fault. Nobody logs in on this one.
            self._transport, shown = self._handshake([name for names in _SIGNATURES.values() for name in names])
        try:
            self._compare_host_key(shown, pinned)
            self._log_in(key)
        except BaseException:
            self.close()
            raise
        self._transport.set_keepalive(KEEP_ALIVE_SECONDS)

    def alive(self) -> bool:
        """Whether it can still open sessions."""
        return self._transport.is_active()

    def sftp(self, deadline: Deadline) -> Wire:
        """A new SFTP session. PartnerRefused where the server grants no more of them."""
        seconds = self._settings.connect_seconds
        try:
            with self._no_longer_than(seconds):
                channel = self._transport.open_session(window_size=WINDOW, timeout=seconds)
                channel.in_buffer, channel.in_stderr_buffer = Unread(), Unread()
                channel.invoke_subsystem("sftp")
        except paramiko.ChannelException:
            raise PartnerRefused(
                f"{self.where} grants no further session on a connection.",
                "Lower `channels` of this mailbox in config.toml, or raise `connections`.",
            ) from None
        except (paramiko.SSHException, EOFError, OSError):
            raise self._broke_off("opening an SFTP session") from None
        return Wire(channel, where=self.where, read_seconds=self._settings.read_seconds, deadline=deadline)

    def close(self) -> None:
        """Close it, and every session on it."""
        self._transport.close()

    def _handshake(self, signatures: Sequence[str]) -> tuple[paramiko.Transport, paramiko.PKey | None]:
        """A transport up to where the host has shown a key of one of these types; None where it has none of them."""
        settings = self._settings
        try:
            opened = connected_socket(settings.host, settings.port, settings.connect_seconds, settings.read_seconds)
        except OSError as fault:
            raise PartnerUnreachable(
                f"Cannot connect to {self.where}: {fault.strerror or 'no answer'}.",
                "Is the host right in config.toml, and does your firewall let it out? The next run tries again.",
            ) from None
        transport = paramiko.Transport(Line(opened), packetizer_class=Packets)
        transport.set_log_channel(LOG)
        transport.banner_timeout = transport.handshake_timeout = settings.connect_seconds
        offered = transport.get_security_options()
        offered.key_types, offered.ciphers, offered.digests = list(signatures), list(_CIPHERS), list(_DIGESTS)
        try:
            transport.start_client(timeout=settings.connect_seconds)
            return transport, transport.get_remote_server_key()
        except IncompatiblePeer as fault:
            transport.close()
            if "host key" in str(fault):
                return transport, None
            raise PartnerRefused(
                f"{self.where} and we have no algorithm of SSH in common.", "The server is too old to be used safely."
            ) from None
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()
            raise self._broke_off("the SSH handshake") from None
        except BaseException:
            transport.close()
            raise

    def _log_in(self, key: paramiko.PKey) -> None:
        answered = threading.Event()
        try:
            self._transport.auth_publickey(self._settings.user, key, answered)
        except (paramiko.SSHException, EOFError, OSError):
            raise self._broke_off("the login") from None
        if not answered.wait(self._settings.connect_seconds) or not self._transport.is_active():
            raise self._broke_off("the login")
        if not self._transport.is_authenticated():
            raise PartnerRefused(
                f"{self.where} refused the login of {self._settings.user}.",
                f"Ask the partner whether the account is open and holds our key {ssh_keys.fingerprint(public_line(key))}.",
            )

    def _compare_host_key(self, shown: paramiko.PKey | None, pinned: Mapping[str, set[str]]) -> None:
        if shown is not None and shown.get_base64() in pinned.get(shown.get_name(), ()):
            return
        known = ", ".join(ssh_keys.fingerprint(line) for line in self._settings.host_keys)
        seen = f"{shown.get_name()} {ssh_keys.fingerprint(public_line(shown))}" if shown else "none that we can check"
        raise HostKeyFault(
            f"{self.where} shows the host key {seen}; pinned is {known}.",
            "Nothing was sent. Ring the partner on a number you already have: if they changed the key and read you this "
            "fingerprint, replace the line in host_keys of config.toml; if not, somebody stands in between.",
        )

    def _broke_off(self, when: str) -> PartnerUnreachable:
        return PartnerUnreachable(f"{self.where} broke off or gave no answer during {when}.", "The next run tries again.")

    @contextmanager
    def _no_longer_than(self, seconds: float) -> Iterator[None]:
        """Close the connection if the block takes longer; paramiko waits without end for the answer to a subsystem request."""
        watch = threading.Timer(seconds, self._transport.close)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()


def _pinned(lines: Sequence[str]) -> dict[str, set[str]]:
    """The pinned host keys, by type. ConfigFault where a line is none, its type is not known, or there are none at all."""
    pinned: dict[str, set[str]] = {}
    for line in lines:
        ssh_keys.fingerprint(line)
        kind, blob = line.split()[:2]
        if kind not in _SIGNATURES:
            raise ConfigFault(
                "A host key in config.toml is of a type that is not supported.", f"Types: {', '.join(_SIGNATURES)}."
            )
        pinned.setdefault(kind, set()).add(blob)
    if not pinned:
        raise ConfigFault(
            "A mailbox in config.toml has no host_keys.",
            "Get the server's host key from the partner, not from the network, and pin it there.",
        )
    return pinned
