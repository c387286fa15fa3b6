"""A real Chromium for tests of pages: import the fixtures `chromium` and `open_page` from here.

Without a Chromium on PATH these tests are skipped; where CI is set in the environment they fail.
"""

import os
import shutil
import time

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


PATIENCE = 60  # seconds for what comes at once on a machine that has nothing else to do


def eventually(look, expected):
    """Wait until `look()` is `expected`: a page shows what came of a key or a click a moment later."""
    deadline = time.monotonic() + PATIENCE
    while (seen := look()) != expected:
        assert time.monotonic() < deadline, f"{seen} has not become {expected}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium: playwright's `Browser`."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing = "no Chromium on PATH: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install '.[dev]'")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            # A container's /dev/shm may be too small for Chromium, and root has no sandbox there.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """A function from a URL and DESKTOP or PHONE to a page of a browser without any history.

    The test fails afterwards if a page threw an error or wrote one to its console; a test that
    expects some takes them out of `open_page.errors`.
    """
    contexts, errors = [], []

    def open_page(url, screen=DESKTOP, **options):
        contexts.append(chromium.new_context(**screen, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        page.goto(url)
        return page

    open_page.errors = errors
    yield open_page
    for context in contexts:
        context.close()
    assert not errors, errors
