"""A call to a dead-man's switch: an exit code to an address that is a secret. It never says more, and holds nobody up."""

from __future__ import annotations

import os
from ipaddress import ip_address
from threading import Thread
from urllib.parse import urlsplit

_TOO_LATE = "no answer in {:g} s"


def unfit(address: str) -> str | None:
    """Why an address is not called; None where it may be. The address is never quoted: whoever knows it can silence the alarm."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if not host or parts.scheme not in ("http", "https"):
        return "it is no address that begins with https://"
    if parts.username is not None:
        return "it holds a name or password, which is not sent"
    return None if parts.scheme == "https" or _this_machine(host) else "it is not https, and not this machine"


def _this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def call(address: str, body: bytes, seconds: float) -> str | None:
    """Post `body` to `address`: why that failed, None where it went well. It takes `seconds` at most, whatever happens there.

    Asked once: a service that is down is no reason to hold up a night. No redirection is followed, so the secret goes to no
    other host.
    """
    if why := unfit(address):
        return why
    found: list[str | None] = [_TOO_LATE.format(seconds)]

    def ask() -> None:
        found[0] = _asked(address, body, seconds)

    # A thread of its own: a time limit of a socket begins anew with every byte, and there is none for looking up a name.
    thread = Thread(target=ask, name="ping", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0]


def _asked(address: str, body: bytes, seconds: float) -> str | None:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    headers = {"Content-Type": "text/plain", "User-Agent": "cpis-batch"}
    request = Request(address, data=body, headers=headers, method="POST")  # noqa: S310 - `unfit` has looked at the scheme
    try:
        with build_opener(Stay).open(request, timeout=seconds):
            return None
    except HTTPError as fault:
        with fault:
            return f"the service answered {fault.code}"
    except URLError as fault:
        return _cause(fault.reason)
    except (OSError, HTTPException, ValueError) as fault:
        return _cause(fault)


def _cause(fault: object) -> str:
    """What went wrong, without the words of the library, which may quote the address."""
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    if isinstance(fault, OSError) and fault.errno and fault.errno > 0 and type(fault).__module__ == "builtins":
        return os.strerror(fault.errno)
    return type(fault).__name__
