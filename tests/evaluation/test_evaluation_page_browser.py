"""The page that evaluate writes, in a real browser: keys, clicks and swipes."""

import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE, chromium, eventually, open_page  # noqa: F401

from tf_cyclegan.evaluation.judge import judge
from tf_cyclegan.evaluation.page import evaluation_page
from tf_cyclegan.evaluation.translations import Translations

WORST_LAST = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def page_url(tmp_path_factory):
    """A page of two directions with five pictures each, a the best and e the worst."""
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 200, [5, 32, 32, 3], np.uint8) for _ in "xy")
    off = np.arange(0, 50, 10, np.uint8)[:, None, None, None]
    directions = {
        "x_to_y": Translations(WORST_LAST, x, y + off, y, np.arange(5), x + 1),
        "y_to_x": Translations(WORST_LAST, y, x + off, x, np.arange(5), y + 1),
    }
    results = {name: judge(t, {}) for name, t in directions.items()}
    losses = [{"step": step, "cycle_x": 1 / step} for step in (1, 2, 3)]
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(evaluation_page({"run": f"runs/{'x' * 60}"}, results, directions, losses))
    return path.as_uri()


def shows(page, name, place):
    """Wait until the dialog shows a picture: its name and its place among all."""
    eventually(
        lambda: (page.inner_text("dialog .name"), page.inner_text("dialog .count")),
        (name, f"{place} of 10"),
    )


def closes(page):
    """Wait until the dialog is gone."""
    page.locator("dialog").wait_for(state="hidden")


def orders(page, section, names):
    """Wait until the cards of a section are in an order."""
    cards = page.locator("section:has(.grid)").nth(section).locator(".name")
    eventually(cards.all_inner_texts, list(names))


def test_it_loads_nothing_and_fits(page_url, open_page):  # noqa: F811
    for screen, width in ((DESKTOP, 1280), (PHONE, 390)):
        page = open_page("about:blank", screen)
        requests = []
        page.on("request", lambda request, to=requests: to.append(request.url))
        page.goto(page_url)
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
        assert [url for url in requests if not url.startswith("data:")] == [page_url]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        left = "[...document.querySelectorAll('dt, dd')].map(e => e.getBoundingClientRect().left)"
        assert min(page.evaluate(left)) >= 16  # the margin of the page, where they wrap too
        assert page.locator("img:not(dialog img)").count() == 2 * 5 * 4 + 1


def test_keys_walk_through_the_pictures(page_url, open_page):  # noqa: F811
    page = open_page(page_url)
    # Best, worst, second best and so on; from the last of one direction to the first of the other.
    expected = ["a", "e", "b", "d", "c", "a", "e", "b", "d", "c"]
    for place, name in enumerate(expected, 1):
        page.keyboard.press("ArrowRight")
        shows(page, name, place)
    page.keyboard.press("ArrowRight")
    shows(page, "c", 10)
    page.keyboard.press("ArrowUp")
    shows(page, "d", 9)
    page.keyboard.press("Home")
    shows(page, "a", 1)
    page.keyboard.press("ArrowLeft")
    shows(page, "a", 1)
    page.keyboard.press("End")
    shows(page, "c", 10)
    page.keyboard.press("Escape")
    closes(page)
    # Back in the page at the picture that was left, from where the keys go on (the browser tells
    # the page only a moment after the dialog is gone).
    page.wait_for_function("document.activeElement === cards()[9]")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    shows(page, "d", 9)


def test_clicks_show_and_order_the_pictures(page_url, open_page):  # noqa: F811
    page = open_page(page_url)
    orders(page, 0, "aebdc")
    page.locator("[data-order=worst]").nth(1).click()
    orders(page, 0, "aebdc")
    orders(page, 1, "edcba")
    page.locator("[data-order=best]").nth(0).click()
    orders(page, 0, "abcde")
    pressed = page.locator("[aria-pressed=true]")
    eventually(pressed.all_inner_texts, ["best first", "worst first"])

    page.locator(".grid .card").nth(6).click()
    shows(page, "d", 7)
    for image in page.locator("dialog img").all():
        box = image.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800
        assert box["width"] >= 100  # 32 pixels, enlarged
    page.click("dialog .back")
    shows(page, "e", 6)
    page.click("dialog .next")
    page.click("dialog .next")
    shows(page, "c", 8)
    page.click("dialog .close")
    closes(page)


def test_swipes_walk_through_the_pictures(page_url, open_page):  # noqa: F811
    page = open_page(page_url, PHONE)
    page.locator(".grid .card").nth(1).tap()
    shows(page, "e", 2)
    touch = page.context.new_cdp_session(page)

    def swipe(start, end):
        """Move a finger between two places, in CSS pixels."""
        steps = [np.add(start, np.subtract(end, start) * part) for part in (0, 0.5, 1)]
        for kind, places in [("touchStart", steps[:1]), *(("touchMove", [s]) for s in steps[1:])]:
            points = [{"x": float(x), "y": float(y)} for x, y in places]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe((300, 400), (100, 410))
    shows(page, "b", 3)
    swipe((100, 400), (300, 400))
    swipe((100, 400), (300, 400))
    shows(page, "a", 1)
    swipe((200, 400), (180, 400))  # a finger that hardly moves
    shows(page, "a", 1)
    assert re.match(r"#1 of 5", page.inner_text("dialog .card p"))
