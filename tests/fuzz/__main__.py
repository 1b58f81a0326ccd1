"""`python -m tests.fuzz TARGET --examples N --seed S`: one target, behind walls of memory and of time a file.

Ends with 0, or with 1 and, on stdout, what came of which bytes. The child of `tests/failure/test_fuzz.py`, and of `make fuzz`.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from contextlib import contextmanager
from random import Random
from types import FrameType

from cpis_batch.errors import Bug, CpisError
from tests.fuzz.targets import TARGETS, Reader

MEMORY_BYTES = 6 * 1024**3  # of addresses, which DuckDB and Arrow reserve freely
MORE_MEGABYTES = 200  # than after the samples
SECONDS_A_FILE = 60  # on a busy machine


class Hang(Exception):
    """A file took too long."""


def main() -> int:
    """Fuzz; what the process ends with."""
    given = argparse.ArgumentParser()
    given.add_argument("target", choices=TARGETS)
    given.add_argument("--examples", type=int, required=True, help="a budget, of which each target takes its share")
    given.add_argument("--seed", type=int, required=True)
    asked = given.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _hangs)
    target, dice = TARGETS[asked.target], Random(asked.seed)
    with contextmanager(target.ready)() as (reads, samples):
        for sample in samples:
            if told := outcome(reads, sample):
                return _told(told, sample)
        before = _megabytes()
        for _ in range(max(20, round(asked.examples * target.share))):
            data = target.mutants(samples, dice)
            if told := outcome(reads, data):
                return _told(told, data)
        if (more := _megabytes() - before) > MORE_MEGABYTES:
            return _told(f"{more} MB more than the samples took", b"")
    return 0


def outcome(reads: Reader, data: bytes) -> str:
    """What is wrong with how `data` was read; nothing where it was read, or refused with an error of ours."""
    signal.alarm(SECONDS_A_FILE)
    try:
        reads(data)
    except Bug as fault:
        return f"{type(fault).__name__}: {fault}"
    except CpisError:
        return ""
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is what was looked for
        return f"{type(fault).__name__}: {fault}"
    finally:
        signal.alarm(0)
    return ""


def _hangs(_: int, __: FrameType | None) -> None:
    raise Hang(f"over {SECONDS_A_FILE} seconds")


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _told(what: str, data: bytes) -> int:
    print(f"{what}\n{data!r}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
