"""What an answer says can be read at about eleven: the Flesch-Kincaid grade of its texts, 6 being that age."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from cpis_batch.audit.witness import WITNESS
from cpis_batch.demographics import rate
from cpis_batch.intake import acknowledge, answer_page, findings, rules
from cpis_batch.register import guard
from cpis_batch.vocabulary import FileOutcome, FileState, PlanType
from tests.pages.made import page_of
from tests.unit.test_acknowledge import answer

READING_AGE_11, HARDEST = 6.0, 8.0  # of all texts together, and of any one of them


def _said() -> set[str]:
    """The sentences that an answer is made of, for every state and outcome, and those of its page's template."""
    whole = answer()
    tally = acknowledge.counts(whole)
    said = {
        acknowledge.sentence(structs.replace(whole, state=state, outcome=outcome), tally)
        for state in FileState
        for outcome in (*FileOutcome, None)
    }
    groups = [{"severity": "ERROR"}, {"severity": "WARNING"}]
    for state in FileState:
        said |= {what for _, what in answer_page.to_do(structs.replace(whole, state=state), tally, groups)}
    assert whole.match
    said.add(acknowledge.match_sentence(whole.match))
    paragraphs = re.findall(r"<p>(.*?)</p>", " ".join(page_of("answer").decode().split()))
    said |= {text for text in (re.sub("<[^>]*>", "", one) for one in paragraphs) if text.endswith(".") and "(your id" not in text}
    of_file = (guard.Effect.FEW_ROWS, guard.Effect.EMPTY)
    held = {guard.Excess(effect, None if effect in of_file else PlanType.CPP, 7, 5, 40).words for effect in guard.Effect}
    return said | held | {WITNESS}


TEXTS = sorted(
    {
        *(f"{rule.cause} {rule.cure}" for rule in (*rules.ALL, *findings.ALL)),
        *(row["text"] for row in rate.WHAT_TO_CHECK.to_pylist()),
        rate.DEATH,
        *_said(),
    }
)


def syllables(word: str) -> int:
    """As the formula's users count them: groups of vowels, a silent e at the end left out."""
    letters = re.sub("[^a-z]", "", word.lower())
    groups = len(re.findall("[aeiouy]+", letters))
    silent = letters.endswith("e") and not letters.endswith("le") and groups > 1
    return max(1, groups - silent)


def grade(text: str) -> float:
    """The Flesch-Kincaid grade level (Kincaid and others, 1975): years at an American school, five less than the age."""
    sentences = [part for part in re.split(r"[.!?]+(?:\s|$)", text) if part.strip()]
    words = re.findall(r"[A-Za-z0-9'/-]+", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def test_the_formula_tells_hard_from_easy():
    assert grade("The cat sat on the mat.") < 1
    assert grade("Notwithstanding administrative considerations, reconciliation necessitates authorisation.") > 20


def test_all_that_an_answer_can_say_reads_at_about_eleven():
    assert len(TEXTS) > 100
    assert grade(" ".join(TEXTS)) <= READING_AGE_11


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:40])
def test_no_text_is_hard_to_read(text):
    assert grade(text) <= HARDEST
