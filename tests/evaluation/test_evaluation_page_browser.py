"""The page that evaluate writes, in a real browser: keys, clicks and swipes."""

import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE, chromium, open_page  # noqa: F401

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
    path.write_text(evaluation_page({"run": "runs/x"}, results, directions, losses))
    return path.as_uri()


def shown(page):
    """What the dialog shows: the picture's name and its place among all."""
    name = page.inner_text("dialog .name")
    place, total = page.inner_text("dialog .count").split(" of ")
    assert total == "10"
    return name, int(place)


def names(page, section):
    return page.locator("section:has(.grid)").nth(section).locator(".name").all_inner_texts()


def test_it_loads_nothing_and_fits(page_url, open_page):  # noqa: F811
    for screen, width in ((DESKTOP, 1280), (PHONE, 390)):
        page = open_page("about:blank", screen)
        requests = []
        page.on("request", lambda request, to=requests: to.append(request.url))
        page.goto(page_url)
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
        assert [url for url in requests if not url.startswith("data:")] == [page_url]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("img:not(dialog img)").count() == 2 * 5 * 4 + 1


def test_keys_walk_through_the_pictures(page_url, open_page):  # noqa: F811
    page = open_page(page_url)
    # Best, worst, second best and so on; from the last of one direction to the first of the other.
    expected = ["a", "e", "b", "d", "c", "a", "e", "b", "d", "c"]
    for place, name in enumerate(expected, 1):
        page.keyboard.press("ArrowRight")
        assert shown(page) == (name, place)
    page.keyboard.press("ArrowRight")
    assert shown(page) == ("c", 10)
    page.keyboard.press("ArrowUp")
    assert shown(page) == ("d", 9)
    page.keyboard.press("Home")
    assert shown(page) == ("a", 1)
    page.keyboard.press("ArrowLeft")
    assert shown(page) == ("a", 1)
    page.keyboard.press("End")
    assert shown(page) == ("c", 10)
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")
    # Back in the page at the picture that was left, from where the keys go on (the browser tells
    # the page only a moment after the dialog is gone).
    page.wait_for_function("document.activeElement === cards()[9]")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert shown(page) == ("d", 9)


def test_clicks_show_and_order_the_pictures(page_url, open_page):  # noqa: F811
    page = open_page(page_url)
    assert names(page, 0) == ["a", "e", "b", "d", "c"]
    page.locator("[data-order=worst]").nth(1).click()
    assert names(page, 0) == ["a", "e", "b", "d", "c"]
    assert names(page, 1) == ["e", "d", "c", "b", "a"]
    page.locator("[data-order=best]").nth(0).click()
    assert names(page, 0) == ["a", "b", "c", "d", "e"]
    pressed = page.locator("[aria-pressed=true]").all_inner_texts()
    assert pressed == ["best first", "worst first"]

    page.locator(".grid .card").nth(6).click()
    assert shown(page) == ("d", 7)
    for image in page.locator("dialog img").all():
        box = image.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800
        assert box["width"] >= 100  # 32 pixels, enlarged
    page.click("dialog .back")
    assert shown(page) == ("e", 6)
    page.click("dialog .next")
    page.click("dialog .next")
    assert shown(page) == ("c", 8)
    page.click("dialog .close")
    assert not page.is_visible("dialog")


def test_swipes_walk_through_the_pictures(page_url, open_page):  # noqa: F811
    page = open_page(page_url, PHONE)
    page.locator(".grid .card").nth(1).tap()
    assert shown(page) == ("e", 2)
    touch = page.context.new_cdp_session(page)

    def swipe(start, end):
        """Move a finger between two places, in CSS pixels."""
        steps = [np.add(start, np.subtract(end, start) * part) for part in (0, 0.5, 1)]
        for kind, places in [("touchStart", steps[:1]), *(("touchMove", [s]) for s in steps[1:])]:
            points = [{"x": float(x), "y": float(y)} for x, y in places]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe((300, 400), (100, 410))
    assert shown(page) == ("b", 3)
    swipe((100, 400), (300, 400))
    swipe((100, 400), (300, 400))
    assert shown(page) == ("a", 1)
    swipe((200, 400), (180, 400))  # a finger that hardly moves
    assert shown(page) == ("a", 1)
    assert re.match(r"#1 of 5", page.inner_text("dialog .card p"))
