"""Commands in this process whose every word is kept, and searched with the home for the identifiers of `test_privacy.py`."""

from __future__ import annotations

import os
import sys

import pytest

from cpis_batch import cli
from tests.failure.test_privacy import sighted
from tests.hub import Hub


class Home:
    """A home with one authority, whose commands are given in this process; all that they say is kept."""

    def __init__(self, hub: Hub, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub, self._capfd, self._monkeypatch = hub, capfd, monkeypatch
        self.said = ""

    def command(self, *words: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["cpis-batch", *words])
        self._monkeypatch.setenv("CPIS_HOME", str(self.hub.home))
        self._monkeypatch.setenv("CPIS_NOW", self.hub.now.isoformat())
        before = os.umask(0o077)
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            os.umask(before)
        told = self._capfd.readouterr()
        self.said += told.out + told.err
        assert isinstance(ended.value.code, int)
        return ended.value.code

    def sightings(self, *but: str) -> dict[str, set[str]]:
        """Where an identifier stands: in what was said, or in a file of the home other than those in which a test put it."""
        found = {"said": sighted(self.said.encode())}
        for path in self.hub.home.rglob("*"):
            if path.is_file() and path.name not in but:
                found[str(path.relative_to(self.hub.home))] = sighted(os.fsencode(path.name) + path.read_bytes())
        return {place: kinds for place, kinds in found.items() if kinds}
