"""What must hold after every step on the stage: the hub is as the model has it, and the rules of DESIGN (section 4) are kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cpis_batch import config
from cpis_batch.catalogue.records import Arrival
from cpis_batch.keystore import load_master_key
from cpis_batch.register import view
from cpis_batch.register.store import PartStore
from cpis_batch.runs import rebuild, verify
from cpis_batch.runs.hub import opened
from cpis_batch.vocabulary import FileState
from tests.builders import HACKNEY, nhs
from tests.properties.exchange_stage import FIRST_OWN_KEY, LAS, OWN_KEYS, UNIT_OF, Erasure, Stage
from tests.properties.plans_model import FACTS, adult_on, is_active, key_of
from tests.small_england import UNITS, extracts

NUMBERS = [nhs(person).encode() for person in range(80)]  # of everybody in the stories
TOLD = ("nhs_number", "plan_type", "start_date", *FACTS, "last_confirmed_on", "missing_since")


@dataclass
class Rules:
    """Holds the hub to the model and to the rules; it remembers what it saw the time before."""

    rows: dict[str, dict] = field(default_factory=lambda: {la: {} for la in LAS})
    merged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LAS, 0))
    answered: set[str] = field(default_factory=set)  # names of the files with their one acknowledgement
    noticed: set[str] = field(default_factory=set)  # names of the notices that a file is held
    releases: int = 0
    audited: int = 0  # the commit

    def hold(self, stage: Stage) -> Counter[str]:
        """Look at everything; what there was to be seen, by kind."""
        seen: Counter[str] = Counter()
        with stage.hub.catalogue() as catalogue:
            arrivals, holds, deliveries = catalogue.arrivals(), catalogue.holds(), catalogue.deliveries()
            changes = catalogue.table("SELECT la_code, change, sum(plans) AS plans FROM changes GROUP BY 1, 2")
            closing = catalogue.table(
                "SELECT la_code, plan_type, closing FROM balances JOIN la_current USING (commit_id, la_code)"
            )
        status = stage.hub.status()
        assert (status["imbalance"], status["undelivered"], status["waiting"]) == (0, 0, stage.waited_for)
        for la in LAS:
            model = stage.model[la]
            why = {hold.arrival_id: hold.reason for hold in holds if hold.partner == la}
            mine = [one for one in arrivals if one.partner == la]
            assert {one.name: why.get(one.id, one.state) for one in mine} == model.states
            for one in (one for one in mine if one.id in why):  # who contradicts has his answer, the others wait for theirs
                assert one.state is (FileState.REFUSED if why[one.id] == "CONFLICT" else FileState.HELD)
            done = {row["change"]: row["plans"] for row in changes if row["la_code"] == la}
            expected = model.plans.changes + Counter(AMENDED=model.plans.changes["REDATED"])
            assert done == {change: plans for change, plans in expected.items() if change not in ("REDATED", "CONFIRMED")}
            types = Counter(key[1] for key in stage.plans(la))
            assert +Counter({row["plan_type"]: row["closing"] for row in closing if row["la_code"] == la}) == types
            seen.update([*done, *model.states.values(), *why.values()])
            self.register_says_what_the_model_says(stage, la)
        seen.update(self.one_answer_a_file(stage, arrivals))
        seen.update(self.release_is_what_is_active(stage))
        seen.update(["WAITING"] if stage.waited_for else [])
        reports: Counter[str] = Counter()
        for one in deliveries:
            reports[one.partner] += one.record_count if one.kind == "ACCESS_REPORT" else 0
        assert +reports == stage.told
        seen.update(["a report"] if stage.told else [])
        uncollected = {one.name for one in deliveries if one.partner in UNITS and not one.collected_at}
        lying = {path.name for unit in UNITS for path in stage.hub.outbound(unit, "CPIS_")}
        assert lying == uncollected
        return seen

    def register_says_what_the_model_says(self, stage: Stage, la: str) -> None:
        """Row by row, by the register's own reader; and rules 1, 2 and 8 by themselves."""
        model, today = stage.model[la], stage.today
        table = stage.hub.plans(la) if model.merged else None
        rows = {key_of(row): row for row in table.to_pylist()} if table else {}
        assert {key: {name: row[name] for name in TOLD} for key, row in rows.items()} == {
            key: {name: plan[name] for name in TOLD} for key, plan in stage.plans(la).items()
        }
        active = {key_of(row) for row in view.active(table, today).to_pylist()} if table else set()
        assert active == stage.active(la)
        past = stage.hub.history(la) if model.merged else None
        versions = {key_of(row) for row in past.to_pylist()} if past else set()
        assert versions - rows.keys() == model.plans.gone.keys() - rows.keys()

        before, self.rows[la] = self.rows[la], rows
        merged, self.merged[la] = self.merged[la], list(model.states.values()).count("MERGED")
        for key in {key for key, row in before.items() if is_active(row, today)} - active:  # rule 1
            said = [row for file in model.merged for row in file.rows if (row["nhs_number"], row["plan_type"]) == key[:2]]
            explicit = [row for row in said if row["end_date"] or row["delete_date"] or row["start_date"] != key[2]]
            assert explicit or adult_on(before[key]) <= today, "absence has ended a plan"
        if merged == self.merged[la]:  # rules 2 and 8: other authorities' files, and files that are held, change nothing
            changed = [key for key in before.keys() | rows.keys() if before.get(key) != rows.get(key)]
            assert all(key in rows and rows[key]["end_basis"] == "AGE" for key in changed)

    def one_answer_a_file(self, stage: Stage, arrivals: list[Arrival]) -> list[str]:
        """Rule 3, as the authorities see it, who take their answers away: one for each file, an outcome for each row."""
        outcomes = []
        for la in LAS:
            for path in stage.hub.outbound(la, "CPIS_"):
                if not path.name.startswith("CPIS_ACCESS_"):
                    outcomes.append(self.answer(stage, la, path))
                path.unlink()
        assert self.answered == {one.name for one in arrivals if one.partner in LAS and one.state is not FileState.HELD}
        return outcomes

    def answer(self, stage: Stage, la: str, path: Path) -> str:
        """One answer, opened with the key of its reader: it is the first, and says what became of the file. Its outcome."""
        reader = FIRST_OWN_KEY if la == HACKNEY and stage.today < OWN_KEYS[0] else la
        told = json.loads(stage.hub.unpacked(path, reader)["acknowledgement.json"])
        name, state, outcome = (told["file"][word] for word in ("name", "state", "outcome"))
        if state == "HELD":
            assert path.name not in self.noticed
            self.noticed.add(path.name)
            return "a notice"
        model = stage.model[la]
        expected = "REFUSED" if model.states[name] == "CONFLICT" else model.states[name]
        assert (name in self.answered, state) == (False, expected)
        self.answered.add(name)
        if state == "MERGED":
            file = next(file for file in model.merged if file.name == name)
            good, bad = map(len, file.parted(stage.today))
            assert Counter(one["outcome"] for one in told["records"]) == +Counter(CPR06=good, CPR07=bad)
            assert outcome == ("CPF02" if not bad else "CPF03" if good else "CPF04")
            if file is model.merged[-1]:
                lasting = [one for one in stage.plans(la).values() if (one["end_date"] or stage.today) >= stage.today]
                assert len(told["missing"]) == sum(bool(one["missing_since"]) for one in lasting)
        return outcome

    def release_is_what_is_active(self, stage: Stage) -> list[str]:
        """Rule 4: at a release, what is active is in the units' extracts or on the list of what leads to none."""
        with stage.hub.catalogue() as catalogue:
            releases = catalogue.releases()
        assert len(releases) == len(stage.released)
        if len(releases) == self.releases:
            return []
        self.releases, made = len(releases), releases[-1]
        active = {la: stage.active(la) for la in LAS}
        assert made.active == sum(map(len, active.values()))
        assert made.unroutable == sum(len(keys_) for la, keys_ in active.items() if la not in UNIT_OF)
        assert made.sent == made.active - made.unroutable
        sent = {unit: extracts(stage.hub, unit)[-1] for unit in UNITS}
        for unit, rows in sent.items():
            shown = [(row["nhs_number"], row["plan_type"], row["start_date"]) for row in rows if row["change"] != "CEASED"]
            mine = [key for la, keys_ in active.items() if UNIT_OF.get(la) == unit for key in keys_]
            assert sorted(shown) == sorted((number, kind, str(start)) for number, kind, start in mine)
        return ["a release", *(["a release that covers missed ones"] if made.caught_up else []),
                *(["a plan that leads to no unit"] if made.unroutable else []),
                *(row["change"] for rows in sent.values() for row in rows)]  # fmt: skip

    def erased(self, stage: Stage, erasure: Erasure) -> Counter[str]:
        """After retention: who was left out and why, and nobody active has gone; those who went are in no part and no archive."""
        seen: Counter[str] = Counter()
        left_out = {la: str(reason) for la, (reason, _) in erasure.applied.left_out.items()}
        gone: set[str] = set()
        with stage.hub.catalogue() as catalogue:
            kept = {one.digest: one.partner for one in catalogue.arrivals("erased_in IS NULL")}
        for la, (due, why) in erasure.came_to.items():
            seen.update([f"an authority left out: {left_out[la]}"] if la in left_out else [])
            assert not due or left_out.get(la) == why
            if not due or why:
                continue
            assert not any(is_active(self.rows[la][key], stage.today) for key in due & self.rows[la].keys())
            seen.update(["an erasure of plans" if due & self.rows[la].keys() else "an erasure of versions"])
            self.rows[la] = {key: row for key, row in self.rows[la].items() if key not in due}
            gone |= {key[0] for key in due}
            assert la not in kept.values(), "archived files hold what was erased"
        stay = {key[0] for la in LAS for plans in [stage.model[la].plans] for key in (*plans.plans, *plans.gone)}
        if gone - stay:
            seen.update(["a person who stands nowhere any more"])
            home = stage.hub.home
            master = load_master_key(home, config.load(home))
            for part in (*(home / "register").glob("*.parquet"), *(home / "archive").glob("*.parquet")):
                table = PartStore(part.parent, master).read(part.stem)
                numbers = set(table["nhs_number"].to_pylist()) if "nhs_number" in table.column_names else set()
                assert not numbers & (gone - stay)
            assert {path.stem for path in (home / "archive").glob("*.pgp")} <= kept.keys()
        return seen

    def audit(self, stage: Stage) -> bool:
        """Verify finds nothing, the archive alone comes to the same register, and no NHS number stands anywhere in plain.

        Looked at once a commit: whether it was now.
        """
        commit = stage.hub.status()["commit"]
        if commit == self.audited:
            return False
        self.audited = commit
        found = verify.verify(stage.hub.home)
        assert (found.damages, found.imbalance) == ([], 0)
        with opened(stage.hub.home, what="audit", business_date=stage.today, now=stage.hub.now) as hub:
            rebuilt = rebuild.rebuild(hub)
        assert rebuilt.same, [(one.la_code, one.stopped, one.differences) for one in rebuilt.las]
        assert rebuilt.register_digest == stage.hub.status()["register_digest"]
        plain = [path.read_bytes() for path in stage.hub.home.rglob("*") if path.is_file()]
        assert not any(number in data for number in NUMBERS for data in plain)
        return True
