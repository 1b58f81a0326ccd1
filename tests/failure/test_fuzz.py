"""F28, F39: whatever partners send, it is read or refused with an error of ours, in bounded time and memory.

The budget is a number of files, so that a slow machine tests no less. Another seed each time; CPIS_FUZZ_SEED for one that was
told before, CPIS_FUZZ for another budget (`make fuzz`: 20,000). What is found goes into `tests/fuzz/corpus.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from random import SystemRandom

import pytest

from cpis_batch.errors import Bug, CpisError
from tests.fuzz.__main__ import outcome
from tests.fuzz.corpus import CORPUS
from tests.fuzz.targets import TARGETS

EXAMPLES = int(os.environ.get("CPIS_FUZZ", "150"))


@pytest.mark.parametrize("target", TARGETS)
def test_f28_f39_whatever_is_sent_is_read_or_refused_and_nothing_worse(target):
    seed = int(os.environ.get("CPIS_FUZZ_SEED", SystemRandom().randrange(10**6)))
    print(f"{target}: a budget of {EXAMPLES}, CPIS_FUZZ_SEED={seed}")
    words = [sys.executable, "-m", "tests.fuzz", target, "--examples", str(EXAMPLES), "--seed", str(seed)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize("target", sorted({found.target for found in CORPUS}))
def test_what_was_found_once_is_never_found_again(target):
    with contextmanager(TARGETS[target].ready)() as (reads, _):
        assert {found.reason: outcome(reads, found.data) for found in CORPUS if found.target == target} == {
            found.reason: "" for found in CORPUS if found.target == target
        }


def test_a_fuzzer_that_meets_another_error_says_so():
    """That it can fail."""

    def raises(fault: BaseException):
        def reads(_: bytes) -> None:
            raise fault

        return reads

    assert outcome(raises(CpisError("refused")), b"") == ""
    assert outcome(raises(Bug("an imbalance")), b"") == "Bug: an imbalance"
    assert outcome(raises(KeyError("file")), b"") == "KeyError: 'file'"
    assert outcome(lambda _: None, b"") == ""
