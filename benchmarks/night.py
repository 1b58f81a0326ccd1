"""A whole night for England against the plain tools, in turn: first night, a Monday's night, a night with nothing new."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import plain
from benchmarks.measure import Cost, measured
from benchmarks.page import Section, Table
from benchmarks.stage import Evening, Stage, staged

MOST_SECONDS, MOST_MEGABYTES, MOST_SECONDS_WITHOUT_NEWS = 30.0, 1000.0, 5.0  # issue 2


@dataclass(slots=True)
class Contest:
    """What the rounds came to: costs by the name of the run, in the order of the rounds."""

    evenings: tuple[Evening, ...]
    authorities: int
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    rows: dict[str, set[int]] = field(default_factory=dict)  # read by the run; one number if every round did the same
    delivered: dict[str, set[int]] = field(default_factory=dict)

    def ratios(self, one: str, other: str) -> list[float]:
        """Of each pair of one round, how many times as long as `other` did `one` take."""
        return [a.seconds / b.seconds for a, b in zip(self.costs[one], self.costs[other], strict=True)]


FIRST, FIRST_PLAIN = "first night, empty register", "plain tools, the same files"
SECOND, SECOND_PLAIN = "second night, after a weekend", "plain tools, its files"
FIRST_OUTWARD, SECOND_OUTWARD = "plain tools, the first night's outward work", "plain tools, the second night's outward work"
NO_NEWS = "the same night again, nothing new"


def run(folder: Path, *, las: Sequence[str], scale: float, rounds: int, told: Callable[[str], None]) -> Contest:
    """Measure in `folder`, which must not exist. AssertionError where the two sides did not read the same rows."""
    told(f"Staging {len(las)} authorities...")
    with staged(folder, las=las, scale=scale) as stage, plain.tools(stage) as tools:
        contest = Contest(stage.evenings, len(las))
        for number in range(1, rounds + 1):
            stage.set()
            for evening, (ours, theirs, outward) in zip(stage.evenings, RUNS, strict=True):
                stage.put_down(evening)
                cost, rows = tools.run(evening)
                _note(contest, theirs, cost, rows, 0)
                _night(stage, contest, evening, ours)
                sent = plain.sent_by(stage, evening)
                outward_cost, outward_rows = tools.run(evening, sent)
                _note(contest, outward, outward_cost, outward_rows, len(sent))
                assert contest.rows[ours] == contest.rows[theirs] == contest.rows[outward] == {evening.rows}, "other rows read"
                assert contest.delivered[ours] == contest.delivered[outward], "other files sent"
                told(
                    f"Round {number} of {rounds}: {ours}, {contest.costs[ours][-1].seconds:.1f} s;"
                    f" plain tools {cost.seconds:.1f} s, with the night's outward work {outward_cost.seconds:.1f} s"
                )
            _night(stage, contest, stage.evenings[-1], NO_NEWS)
            assert contest.rows[NO_NEWS] == {0}
            told(f"Round {number} of {rounds}: {NO_NEWS}, {contest.costs[NO_NEWS][-1].seconds:.1f} s")
    return contest


def _note(contest: Contest, run: str, cost: Cost, rows: int, delivered: int) -> None:
    contest.costs.setdefault(run, []).append(cost)
    contest.rows.setdefault(run, set()).add(rows)
    contest.delivered.setdefault(run, set()).add(delivered)


def _night(stage: Stage, contest: Contest, evening: Evening, name: str) -> None:
    """The program's own command, as an operator types it."""
    told = stage.folder / "night.json"
    program = Path(sys.executable).with_name("cpis-batch")
    arguments = ["--home", str(stage.home), "run", "nightly", "--date", str(evening.on), "--json"]
    cost = measured([str(program), *arguments], env={"CPIS_NOW": evening.now.isoformat()}, stdout=told)
    document = json.loads(told.read_bytes())
    assert not document["failed"], "an authority's evening failed"
    assert not document["undelivered"], "an answer was not delivered"
    rows = sum(sum(file["records"].values()) for file in document["files"])
    _note(contest, name, cost, rows, document["delivered"])


_STAGE = """\
{authorities} authorities' full extracts and a file of {events} access events lie sealed on an OpenSSH server on loopback \
({megabytes:.1f} MB). The night is `cpis-batch run nightly`, from the start of the process to its end: collected, opened, \
checked, merged, committed, answered, reported, delivered with read-back, and moved away on the server; the first night also \
releases to the CHIS units. Of the second night's rows {changed:.1%} have changed."""

_PLAIN = """\
The plain tools do less: one `sftp` in batch mode fetches the same extracts from the same server, one `gpg --decrypt` a file \
opens them, and one DuckDB process reads each CSV and writes it as Parquet. The plain tools with a night's outward work do that \
and, for each message that the night has sent, `gpg --sign --encrypt` one of the same size to the same recipient; one `sftp` \
puts each under a temporary name, has it made durable, renames it and fetches it back, and `cmp` compares. They hold no sender \
to a list, check no rule, merge nothing, write nothing encrypted or durable here, and work out nothing of what they send."""

_HOW = """\
Seconds are by the clock. Processor seconds are those of every process that the command started; the server's are in neither. \
Both are medians, with the least and the most. Memory is the greatest sum of the proportional set sizes of those processes, \
sampled ten times a second, the most of all rounds. The runs take turns, and a ratio is of two runs of one round."""

RUNS = ((FIRST, FIRST_PLAIN, FIRST_OUTWARD), (SECOND, SECOND_PLAIN, SECOND_OUTWARD))


def section(contest: Contest) -> Section:
    """The contest in words and figures."""
    first, second = contest.evenings
    stage = _STAGE.format(
        authorities=contest.authorities,
        events=first.events,
        megabytes=first.sealed_bytes / 1e6,
        changed=second.changed / max(1, second.rows),
    )
    runs = tuple(
        (
            name,
            _spread([cost.seconds for cost in costs]),
            _spread([cost.processor_seconds for cost in costs]),
            f"{max(cost.megabytes for cost in costs):.0f}",
            f"{max(contest.rows[name]):,}",
            f"{max(contest.delivered[name]):,}",
        )
        for name, costs in contest.costs.items()
    )
    ratios = tuple(
        (ours, theirs, " ".join(f"{ratio:.2f}" for ratio in found), f"{median(found):.2f}")
        for ours, *others in RUNS
        for theirs, found in ((theirs, contest.ratios(ours, theirs)) for theirs in others)
    )
    return Section(
        "A night for England",
        (stage, _PLAIN, _HOW),
        (
            Table(("run", "seconds", "processor seconds", "MB at most", "rows read", "files delivered"), runs),
            Table(("by the clock", "times as long as", "each round", "median"), ratios),
            Table(("asked for", "measured", "met"), tuple(_targets(contest))),
        ),
    )


def _targets(contest: Contest) -> Iterator[tuple[str, str, str]]:
    """What issue 2 asks for. Seconds and ratios are judged by the median, memory by the most."""

    def line(what: str, figure: float, most: float, unit: str) -> tuple[str, str, str]:
        return what, f"{figure:,.1f} {unit}", "yes" if figure <= most else "NO"

    seconds = {name: median(cost.seconds for cost in costs) for name, costs in contest.costs.items()}
    for night, *_ in RUNS:
        yield line(f"{night}: at most {MOST_SECONDS:.0f} s", seconds[night], MOST_SECONDS, "s")
    most_megabytes = max(cost.megabytes for night, *_ in RUNS for cost in contest.costs[night])
    yield line(f"a night: at most {MOST_MEGABYTES:.0f} MB", most_megabytes, MOST_MEGABYTES, "MB")
    for night, tools, _ in RUNS:
        yield line(f"{night}: faster than the plain tools", median(contest.ratios(night, tools)), 1.0, "times as long")
    yield line(f"{NO_NEWS}: under {MOST_SECONDS_WITHOUT_NEWS:.0f} s", seconds[NO_NEWS], MOST_SECONDS_WITHOUT_NEWS, "s")


def _spread(figures: Sequence[float]) -> str:
    return f"{median(figures):.1f} ({min(figures):.1f} to {max(figures):.1f})"
