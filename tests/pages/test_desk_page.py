"""The desk page in Chromium, from a file, off the network: it says of every file what the program says, and people can use it."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random, SystemRandom

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cpis_batch.intake.answering import RULES_VERSION
from cpis_batch.intake.lines import LINES_MAX
from cpis_batch.intake.rules import BY_CODE
from desk_page import build
from tests.extracts import d, extract
from tests.pages import desk
from tests.pages.desk import File, of_program
from tests.pages.test_in_chromium import PHONE, RULES

SEED = int(os.environ.get("CPIS_SEED", SystemRandom().randrange(2**32)))
A_BATCH = 40  # files that go into the browser at a time
CHECKED = """async files => Promise.all(files.map(async ([data, today, laCode]) => {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0))
    return (await cpisDesk.check(bytes.buffer, {today, laCode})).verdict
}))"""


@cache
def built() -> bytes:
    return build.page()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("desk") / "cpis-desk.html"
    made.write_bytes(built())
    return made


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1000, "height": 900}, locale="en-GB", offline=True, accept_downloads=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext, path: Path) -> Page:
    """The page, with what it asks for in `.asked` and what the console and the policy say in `.said`."""
    page = context.new_page()
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda fault: page.said.append(str(fault)))
    page.add_init_script("addEventListener('securitypolicyviolation', event => console.log(event.violatedDirective))")
    page.goto(path.as_uri())
    page.evaluate("cpisDesk.ready")
    return page


@pytest.fixture(autouse=True)
def as_wide_as_a_desk(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 900})


def given(page: Page, data: bytes, name: str = "extract.csv") -> str:
    """Choose a file as a person does; what the page then says in its status."""
    before = page.evaluate("document.getElementById('status').textContent = ''")
    assert before == ""
    page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": data})
    expect(page.locator("#status")).to_have_text(re.compile("^(?!Checking).+"), timeout=120_000)
    return page.locator("#status").inner_text()


def held_to_the_program(page: Page, files: list[File]) -> set[str]:
    """Every verdict is the program's; the codes that were found."""
    found = set()
    for begin in range(0, len(files), A_BATCH):
        some = files[begin : begin + A_BATCH]
        ours = page.evaluate(CHECKED, [[b64encode(file.data).decode(), file.today.isoformat(), file.la_code] for file in some])
        for file, told, expected in zip(some, ours, of_program(some), strict=True):
            assert told == expected, f"CPIS_SEED={SEED}: {file!r}"
            found |= {fault["code"] for fault in expected["faults"]}
    return found


def test_it_says_what_the_program_says_of_the_examples_and_of_files_harmed_in_every_way(page):
    codes = held_to_the_program(page, [*desk.samples(), *desk.harmed()])
    assert {code for code in BY_CODE if code < "CPB-200"} - codes <= {"CPB-004", "CPB-131", "CPB-132"}, (
        "not to be met at a desk, or in a test of its own"
    )


def test_it_says_what_the_program_says_of_every_file_that_the_tests_of_the_rules_check(page, tmp_path):
    files = desk.of_rule_tests(tmp_path)
    assert len(files) > 300
    held_to_the_program(page, files)


def test_it_says_what_the_program_says_of_mutants(page):
    held_to_the_program(page, desk.mutants(Random(SEED), 200))


def test_it_says_what_the_program_says_of_rows_that_are_odd(page):
    codes = held_to_the_program(page, desk.odd_rows(Random(SEED), 60))
    assert len(codes) > 60


def test_it_says_what_the_program_says_of_a_file_of_another_authority(page):
    files = [File(extract(d(1)), la_code="E10000016"), File(extract(d(1, nhs_number="1")), la_code="e09000012")]
    assert held_to_the_program(page, files) == {"CPB-131"}


def test_it_says_what_the_program_says_of_a_big_file(page):
    rows = [d(child, start_date="01/02/2024") if child % 7 == 0 else d(child) for child in range(1, 20_000)]
    assert held_to_the_program(page, [File(extract(*rows))]) == {"CPB-521"}


def test_the_page_would_be_seen_to_differ(page):
    good = File(extract(d(1)))
    told = page.evaluate(CHECKED, [[b64encode(extract(d(1, start_date="x"))).decode(), good.today.isoformat(), ""]])
    assert told != of_program([good])


def test_a_file_with_too_many_lines_is_refused_as_such(page):
    assert "whole file would be refused (CPF01)" in given(page, b"H\n" * (LINES_MAX + 1))
    assert "CPB-004" in page.locator("#result").inner_text()


def test_it_asks_for_nothing_and_its_policy_is_kept(page, path):
    given(page, extract(d(1), d(2, nhs_number="1")))
    addresses = [url for url in page.asked if not url.startswith("blob:null/")]
    assert addresses == [path.as_uri()]
    assert len(page.asked) == len(addresses) + 1, "beside the page there is its worker, which it carries"
    assert page.said == [], "a policy that refuses something says so"


def test_its_policy_lets_it_reach_nobody(context, path):
    page = context.new_page()  # what it says of being refused may come later, and is for nobody else
    page.goto(path.as_uri())
    policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'none'" in policy
    assert "'unsafe" not in policy
    assert "http" not in policy
    refused = page.evaluate("fetch('https://example.org/').then(() => 'reached', fault => fault.name)")
    assert refused == "TypeError"
    markup = "() => { try { document.body.innerHTML = '<p>'; return 'taken' } catch (fault) { return fault.name } }"
    assert page.evaluate(markup) == "TypeError", "no text is ever made markup"
    page.close()


def test_the_verdict_is_told_in_a_sentence_with_what_to_mend_once_for_all_rows(page):
    rows = [d(child, start_date="01/02/2024") for child in range(1, 151)]
    said = given(page, extract(*rows, d(200)))
    assert said.startswith("extract.csv: 1 of 151 rows would load (CPF03).")
    text = page.locator("#result").inner_text()
    assert text.count("The start date is written with the day first") == 1
    assert "150 lines: line 2 (your id LC-000001), line 3 (your id LC-000002)" in text
    assert "and 50 more, all in the list of faults" in text
    assert page.locator("#result section.fault").count() == 1
    assert "Zoë" not in page.locator("main").inner_text(), "no name, number or date of birth is shown"
    assert "9990000" not in page.locator("main").inner_text()
    assert "2019-04-30" not in page.locator("main").inner_text()


def test_a_file_in_order_needs_nothing(page):
    assert given(page, extract(d(1))) == "extract.csv: The one row of this file would load (CPF02). Nothing needs mending."
    assert page.locator("#result section").count() == 0


def test_what_a_file_holds_is_never_taken_for_markup(page):
    name = "<img src=x onerror=alert(1)>.csv"
    given(page, extract(d(1, child_id="<b>x</b>", start_date="x")), name)
    assert page.locator("#result b, #result img").count() == 0
    assert "(your id <b>x</b>)" in page.locator("#result").inner_text()
    assert name in page.locator("#result h2").first.inner_text()


def test_the_faults_can_be_saved_as_a_list(page):
    given(page, extract(d(1, start_date="x"), d(2, child_id="=1+1", nhs_number="1")))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the list of faults").click()
    assert download.value.suggested_filename == "extract.faults.csv"
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["line"], row["child_id"], row["field"], row["code"], row["severity"]) for row in rows] == [
        ("2", "LC-000001", "start_date", "CPB-529", "ERROR"),
        ("3", "'=1+1", "nhs_number", "CPB-309", "ERROR"),
        ("3", "'=1+1", "child_id", "CPB-433", "WARNING"),
    ], "a spreadsheet takes none of it for a formula"
    assert rows[0]["cause"] == BY_CODE["CPB-529"].cause
    assert rows[0]["cure"] == BY_CODE["CPB-529"].cure


def test_the_day_and_the_authority_can_be_chosen(page):
    page.locator("summary").click()
    page.fill("#day", "2026-11-20")
    page.fill("#la", "E10000016")
    assert "whole file would be refused (CPF04)" in given(page, extract(d(1)))
    page.fill("#la", "")
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#status")).to_contain_text("CPF02")
    assert "Checked as on 20 November 2026, as extract 118 (FULL, TEST) of E09000012." in page.locator("#result").inner_text()


def _zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("extract.xlsx", _zipped(), "is a workbook (.xlsx) or a zip file"),
        ("extract.csv", _zipped(), "is a workbook (.xlsx) or a zip file"),
        ("extract.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook"),
        ("extract.csv.pgp", b"\x85\x01\x0c\x03", "is sealed already"),
        ("extract.asc", b"-----BEGIN PGP MESSAGE-----\n", "is sealed already"),
        ("extract.txt", b"-----BEGIN PGP MESSAGE-----\n", "is sealed already"),
        ("extract.pdf", b"%PDF-1.7", "is a PDF file"),
        ("extract.gz", b"\x1f\x8b\x08", "is packed with gzip"),
        ("photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", "whole file would be refused (CPF01)"),
        ("empty.csv", b"", "whole file would be refused (CPF01)"),
    ],
)  # fmt: skip
def test_what_is_no_csv_is_named_for_what_it_is(page, name, data, said):
    assert said in given(page, data, name)


def test_a_file_beyond_all_measure_is_not_even_read(page, tmp_path):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as stream:
        stream.truncate(260_000_000)
    page.set_input_files("#file", huge)
    expect(page.locator("#status")).to_contain_text("too big for this page (260 MB)")
    assert page.locator("#result").is_hidden()


def test_dropped_files_are_checked_one_at_a_time(page):
    drop = """files => {
        const carried = new DataTransfer()
        for (const [name, text] of files) carried.items.add(new File([text], name))
        const event = new DragEvent('drop', {dataTransfer: carried, bubbles: true, cancelable: true})
        document.getElementById('drop').dispatchEvent(event)
    }"""
    page.evaluate(drop, [["one.csv", "x"], ["two.csv", "x"]])
    expect(page.locator("#status")).to_contain_text("one file at a time")
    page.evaluate(drop, [["dropped.csv", extract(d(1)).decode()]])
    expect(page.locator("#status")).to_contain_text("dropped.csv: The one row")


STATES = {
    "before": None,
    "in-order": extract(d(1)),
    "faults": extract(d(1, start_date="01/02/2024"), d(2, given_name=""), d(3)),
    "refused": b"",
}


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_wrong_and_a_phone_scrolls_one_way(context, path, state):
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("cpisDesk.ready")
    if STATES[state] is not None:
        given(page, STATES[state], "a-rather-long-name-of-an-extract-as-a-case-system-would-write-it.csv")
    page.locator("summary").click()
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": PHONE, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    page.close()


def test_it_can_be_used_with_the_keyboard_alone(context, path, tmp_path):
    page = context.new_page()
    page.on("filechooser", lambda _: None)  # from the start: a listener set just before the key may come after it
    page.goto(path.as_uri())
    page.evaluate("cpisDesk.ready")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    extract_file = tmp_path / "mine.csv"
    extract_file.write_bytes(extract(d(1, start_date="x")))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(extract_file)
    page.wait_for_selector("#result:not([hidden])")
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"where the keyboard is can be seen: {names[-1]}"
        if names[-1] == "Save the list of faults (CSV)":
            break
    assert names[0] == "Check as on another day, or as another authority"
    assert names[-1] == "Save the list of faults (CSV)"
    with page.expect_download():
        page.keyboard.press("Enter")
    page.close()


def test_it_tells_what_it_is_made_of_and_what_it_is_not(page):
    text = page.locator("main").inner_text()
    assert RULES_VERSION[:16] in text
    assert "is no receipt" in text
    assert "v1.4.3" in text
    assert page.locator("html").get_attribute("lang") == "en-GB"
    assert page.locator("h1").count() == 1


def test_the_same_sources_make_the_same_bytes():
    assert build.page() == built()


def test_the_lock_names_no_registry_and_a_digest_for_every_package():
    lock = Path(build.HERE, "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
