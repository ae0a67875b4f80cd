"""The page, in Chromium: what a user does with it, in English and in Japanese."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hand_made_pdf import text_pdf
from running_server import Running, running, until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromium-driver are not installed")
HOSTILE = "<img src=x onerror=\"document.title='stolen'\"> The <b>gate</b> is shut at nine. 門は九時に閉まる。"


@contextmanager
def browser(language: str, width: int = 1280) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},900"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("page") / "index") as started:
        yield started


def find(driver: Any, selector: str) -> Any:
    """The first element of a selector that is shown."""
    shown: list[Any] = []

    def is_there() -> bool:
        shown[:] = [each for each in driver.find_elements("css selector", selector) if each.is_displayed()]
        return bool(shown)

    until(is_there)
    return shown[0]


def ask(driver: Any, question: str) -> str:
    """Ask, and return the answer when it is whole, or why there is none."""
    field = find(driver, "#question")

    def is_typed() -> bool:
        if field.get_attribute("value") == question:
            return True
        field.clear()
        field.send_keys(question)  # Chromium drops keys that come before it has painted the page
        return False

    until(is_typed)
    field.send_keys("\n")
    find(driver, "#send")
    until(
        lambda: driver.find_elements("css selector", ".turn:last-child .answer:not(.working)"),
        tell=lambda: (driver.find_element("tag name", "body").text, driver.get_log("browser")),
    )
    turn = driver.find_element("css selector", ".turn:last-child")
    answer = turn.find_element("css selector", ".answer").text
    return answer or f"no answer: {turn.find_element('css selector', '.status').text}"


def test_files_are_dropped_in_and_an_answer_opens_where_it_stands(library: Running, tmp_path: Path) -> None:
    (tmp_path / "gate.txt").write_text(f"😀 {'Nothing of note. ' * 300}\n{HOSTILE}\n{'Nothing more. ' * 300}")
    (tmp_path / "manual.pdf").write_bytes(text_pdf("The pump is oiled on Mondays.", "The valve opens at seven bar."))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    with browser("en") as driver:
        driver.get(library.url)
        files = "\n".join(str(tmp_path / name) for name in ("gate.txt", "manual.pdf", "broken.pdf"))
        until(lambda: driver.execute_script("return document.querySelector('#index').value"))
        driver.find_element("id", "files").send_keys(files)
        assert "broken.pdf: failed: " in find(driver, ".job .failed").text
        until(lambda: len(driver.find_elements("css selector", "#documents .name")) == 2)

        # a text: exactly the cited characters are marked, in sight, and HTML stays text
        assert "is shut at nine" in ask(driver, "When is the gate shut?")
        find(driver, ".mark").click()
        mark = find(driver, "#viewer mark")
        asked = {"question": "When is the gate shut?", "stream": False}
        [citation] = library.http.post("/api/v1/indexes/index/ask", json=asked).json()["citations"]
        assert mark.get_property("textContent") == citation["text"]
        until(lambda: 0 < mark.rect["y"] < 900)
        assert not driver.find_elements("css selector", "#viewer img, #viewer b")
        assert driver.title == "longctx"

        # a PDF: its page, with the passage marked on it
        assert "seven bar" in ask(driver, "At what pressure does the valve open?")
        find(driver, ".turn:last-child .mark").click()
        box = find(driver, "#viewer .sheet .box")
        assert find(driver, "#page-number").text == "Page 2 of 2"
        sheet = find(driver, "#viewer .sheet img").rect
        assert (box.rect["x"] - sheet["x"]) / sheet["width"] == pytest.approx(72 / 612, abs=0.02)

        # the keyboard closes it and is back at the mark; a reload finds the conversation
        driver.switch_to.active_element.send_keys("\ue00c")
        until(lambda: driver.switch_to.active_element.get_attribute("class") == "mark")
        driver.refresh()
        find(driver, "#conversations .name").click()
        until(lambda: len(driver.find_elements("css selector", ".turn .mark")) >= 2)
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_question_asked_before_the_page_is_ready_is_answered(library: Running) -> None:
    files = [("files", ("gate.txt", b"The gate closes at nine."))]
    library.job(library.http.post("/api/v1/indexes/index/documents", files=files).json()["id"])
    slowly = "const real = window.fetch; window.fetch = async (...given) => { await new Promise((go) => setTimeout(go, 500)); return real(...given); };"
    with browser("en") as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": slowly})
        driver.get(library.url)
        assert "nine" in ask(driver, "When does the gate close?")


@pytest.mark.parametrize(("language", "field"), [("en", "reason"), ("ja", "reason_ja")])
def test_how_a_question_was_answered_is_said_in_the_language_of_the_page(
    server: Running, language: str, field: str
) -> None:
    conversations = "/api/v1/indexes/index/conversations"
    with browser(language) as driver:
        driver.get(server.url)
        assert "red flag" in ask(driver, "What asks for a doctor?")
        last = server.http.get(conversations).json()[0]["name"]
        [turn] = server.http.get(f"{conversations}/{last}").json()
        for _ in range(2):
            find(driver, "details summary").click()
            assert find(driver, "details tr:nth-child(2) td:last-child").text == turn["answer"]["plan"][field]
            driver.refresh()  # and once more from the conversation's file
            find(driver, "#conversations .name").click()


def test_the_page_speaks_japanese_and_fits_a_phone(library: Running) -> None:
    files = [("files", ("mon.txt", "門は九時に閉まる。鍵は守衛が持つ。".encode()))]
    library.job(library.http.post("/api/v1/indexes/index/documents", files=files).json()["id"])
    with browser("ja", width=500) as driver:
        driver.get(library.url)
        assert find(driver, "#send").text == "質問する"
        assert "守衛" in ask(driver, "鍵は誰が持ちますか？")
        find(driver, ".mark").click()
        assert find(driver, "#viewer mark").text == "鍵は守衛が持つ。"
        find(driver, "#viewer-close").click()
        find(driver, "#menu").click()
        assert find(driver, "#new-chat").text == "新しい会話"
        width = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0
