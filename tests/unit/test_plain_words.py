"""What an answer says can be read at about eleven: the Flesch-Kincaid grade of its texts, 6 being that age."""

from __future__ import annotations

import re

import pytest

from cpis_batch.demographics import rate
from cpis_batch.intake import findings, rules

READING_AGE_11, HARDEST = 6.0, 8.0  # of all texts together, and of any one of them
TEXTS = sorted(
    {
        *(f"{rule.cause} {rule.cure}" for rule in (*rules.ALL, *findings.ALL)),
        *(row["text"] for row in rate.WHAT_TO_CHECK.to_pylist()),
        rate.DEATH,
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
    sentences = [part for part in re.split(r"[.!?:;]+(?:\s|$)", text) if part.strip()]
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
