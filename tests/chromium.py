"""Chromium without a screen, and pages in it that are watched."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

PROGRAM = shutil.which("chromium")
IN_BROWSER = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(PROGRAM is None, reason="no chromium; `make test` installs it on Debian"),
]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def launched(*arguments):
    """Start a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


@contextmanager
def opened(browser, url, width=1280, height=900, **context):
    """Open a page; it must load nothing but itself, and nothing may go wrong in it."""
    context = {"reduced_motion": "reduce", **context}
    session = browser.new_context(viewport={"width": width, "height": height}, **context)
    page = session.new_page()
    requests, troubles = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.goto(url)
    if page.locator(".viewer").count() and page.locator("noscript p").count() == 0:
        page.wait_for_selector("html[data-ready]", state="attached")
    yield page
    session.close()
    assert troubles == []
    assert {one for one in requests if not one.startswith("data:")} == {url}
