"""The page's 3-D tab in Chromium: what is on the screen after what hands do, told by colours."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest
from chromium import ARGUMENTS, IN_BROWSER, PROGRAM, launched, opened
from free_volumes import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    four_quarters,
    free_volume,
    layered,
    write_rgba,
)
from pages import make_content
from PIL import Image

from medcolor.render.free_view import FreeView
from medcolor.render.page import page_file
from medcolor.render.scene import SceneSettings

pytestmark = IN_BROWSER
IN_SOFTWARE = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SURFACE = ".turned .surface"
COLORS = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW, "nothing": (16, 17, 20)}
WAIT_S = 30


@pytest.fixture(scope="module")
def browser():
    with launched(*IN_SOFTWARE) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of four colours, and of fat around flesh; without light, seen from the front."""
    folder = tmp_path_factory.mktemp("pages")
    scene = SceneSettings(light="flat", tilt_deg=0.0, exposure=1.0)
    for name, rgba in (("quarters", four_quarters()), ("layers", layered())):
        volume = free_volume(write_rgba(folder / f"{name}.ome.zarr", rgba), scene)
        content = replace(make_content(), free=FreeView(volume, scene))
        (folder / f"{name}.html").write_bytes(page_file(content))
    return folder


@contextmanager
def in_3d(browser, path, **options):
    with opened(browser, path.as_uri(), **options) as page:
        page.get_by_role("tab", name="Free 3-D").click()
        page.wait_for_selector("html[data-free]", state="attached")
        yield page


def color_at(page, across, down):
    """Return which colour the stage shows at a place (shares of its sides)."""
    box = page.locator(SURFACE).bounding_box()
    place = {"x": box["x"] + across * box["width"], "y": box["y"] + down * box["height"]}
    file = BytesIO(page.screenshot(clip={**place, "width": 3, "height": 3}))
    seen = np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3).mean(axis=0)
    # Shade aside: opacity and jitter of rays darken, hue tells.
    if seen.max() < 40:
        return "nothing"
    hues = {name: np.array(rgb) / np.linalg.norm(rgb) for name, rgb in COLORS.items()}
    del hues["nothing"]
    return max(hues, key=lambda name: float(hues[name] @ seen))


def wait_for_colors(page, *expected):
    """Wait until the stage shows colours at its upper and its lower middle (or at all given)."""
    places = [(0.5, 0.36), (0.5, 0.64)][: len(expected)]
    end = time.monotonic() + WAIT_S
    while True:
        seen = tuple(color_at(page, *place) for place in places)
        if seen == expected:
            return
        assert time.monotonic() < end, f"{seen} are shown, not {expected}"
        page.wait_for_timeout(100)


def drag(page, across, down=0.0):
    """Drag the body by shares of its stage's width."""
    box = page.locator(SURFACE).bounding_box()
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 6):
        way = step / 5 * box["width"]
        page.mouse.move(x + across * way, y + down * way)
    page.mouse.up()


def caption(page):
    return page.locator(".turned .caption").text_content()


def letters(page):
    sides = ("left", "right", "top", "bottom")
    return "".join(page.locator(f".turned .edge[data-side={s}]").text_content() for s in sides)


def test_pictures_come_first_and_the_viewer_is_unpacked_when_its_tab_is_opened(browser, pages):
    with opened(browser, (pages / "quarters.html").as_uri()) as page:
        pictures = page.locator(".body .surface")
        assert pictures.is_visible()
        assert page.locator(SURFACE).is_hidden()
        assert page.evaluate("typeof window.niivue") == "undefined"
        page.get_by_role("button", name="Play").click()
        page.get_by_role("tab", name="Free 3-D").click()
        page.wait_for_selector("html[data-free]", state="attached")
        wait_for_colors(page, "blue", "red")
        assert pictures.is_hidden()
        assert page.locator(".play").get_attribute("data-playing") == "false"
        page.keyboard.press("ArrowLeft")
        assert pictures.is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Pictures"
        assert page.evaluate("document.querySelectorAll('script').length") == 4


def test_it_works_from_a_server_of_static_files_and_loads_nothing_more(browser, pages):
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(pages)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with opened(browser, f"http://127.0.0.1:{server.server_port}/quarters.html") as page:
            page.get_by_role("tab", name="Free 3-D").click()
            page.wait_for_selector("html[data-free]", state="attached")
            wait_for_colors(page, "blue", "red")
    finally:
        server.shutdown()


@pytest.mark.slow
def test_dragging_and_keys_turn_it_and_the_letters_turn_with_it(browser, pages):
    with in_3d(browser, pages / "quarters.html") as page:
        wait_for_colors(page, "blue", "red")
        assert (caption(page), letters(page)) == ("0°", "RLSI")
        drag(page, -1)  # The whole width is half a turn.
        wait_for_colors(page, "yellow", "green")
        assert (caption(page), letters(page)) == ("180°", "LRSI")
        drag(page, 0.5)
        assert (caption(page), letters(page)) == ("90°", "APSI")
        page.locator(SURFACE).focus()
        page.keyboard.press("Home")
        wait_for_colors(page, "blue", "red")
        for _ in range(18):
            page.keyboard.press("ArrowUp")
        # From above the back of the body is up.
        wait_for_colors(page, "yellow", "blue")
        assert (caption(page), letters(page)) == ("0°, from 90° above", "RLPA")
        page.keyboard.press("ArrowRight")
        assert caption(page) == "5°, from 90° above"


@pytest.mark.slow
def test_the_view_of_the_left_side_has_the_front_at_its_left(browser, pages):
    with in_3d(browser, pages / "quarters.html") as page:
        drag(page, -0.5)
        assert letters(page) == "APSI"
        wait_for_place(page, (0.38, 0.64), "red")
        wait_for_place(page, (0.62, 0.64), "green")
        wait_for_place(page, (0.38, 0.36), "blue")


def wait_for_place(page, place, expected):
    end = time.monotonic() + WAIT_S
    while (seen := color_at(page, *place)) != expected:
        assert time.monotonic() < end, f"{seen} is shown at {place}, not {expected}"
        page.wait_for_timeout(100)


@pytest.mark.slow
def test_a_finger_turns_it_and_two_change_its_size(browser, pages):
    with in_3d(browser, pages / "quarters.html", width=360, height=740, has_touch=True) as page:
        wait_for_colors(page, "blue", "red")
        box = page.locator(SURFACE).bounding_box()
        session = page.context.new_cdp_session(page)

        def touch(kind, *ways):
            points = [
                {"x": box["x"] + x * box["width"], "y": box["y"] + 0.5 * box["height"], "id": k}
                for k, x in enumerate(ways)
            ]
            session.send(
                "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points}
            )

        for kind, *ways in (("Start", 0.9), ("Move", 0.6), ("Move", 0.4), ("End",)):
            touch(kind, *ways)
        assert caption(page) == "90°"
        wait_for_place(page, (0.12, 0.5), "nothing")
        for kind, *ways in (
            ("Start", 0.45, 0.55),
            ("Move", 0.3, 0.7),
            ("Move", 0.1, 0.9),
            ("End",),
        ):
            touch(kind, *ways)
        wait_for_place(page, (0.12, 0.45), "blue")


@pytest.mark.parametrize(
    ("plane", "view", "before", "after"),
    [
        ("Coronal", 0, ("blue", "red"), ("yellow", "green")),
        ("Axial", 90, ("yellow", "blue"), ("green", "red")),
    ],
)
def test_a_cut_shows_what_is_behind_it(browser, pages, plane, view, before, after):
    with in_3d(browser, pages / "quarters.html") as page:
        page.locator(SURFACE).focus()
        for _ in range(view // 5):
            page.keyboard.press("ArrowUp")
        wait_for_colors(page, *before)
        page.get_by_role("radio", name=plane).check()
        place = page.get_by_label("Place of the cut")
        middle = int(place.input_value())
        # One voxel to either side of the middle: the part that is left is of the other colours.
        kept, gone = (middle - 2, middle + 2) if plane == "Axial" else (middle + 2, middle - 2)
        place.fill(str(kept))
        wait_for_colors(page, *after)
        place.fill(str(gone))
        wait_for_colors(page, *before)
        page.get_by_role("radio", name="None").check()
        assert place.is_hidden()
        wait_for_colors(page, *before)


def test_a_cut_face_is_even(browser, pages):
    """One voxel of red is left before the green: no ray begins behind it."""
    with in_3d(browser, pages / "quarters.html") as page:
        page.get_by_role("radio", name="Coronal").check()
        place = page.get_by_label("Place of the cut")
        place.fill(str(int(place.input_value()) - 1))
        wait_for_colors(page, "blue", "red")
        box = page.locator(SURFACE).bounding_box()
        clip = {"x": box["x"] + 0.4 * box["width"], "y": box["y"] + 0.58 * box["height"]}
        file = BytesIO(page.screenshot(clip={**clip, "width": 120, "height": 60}))
        red, green, _ = np.moveaxis(
            np.asarray(Image.open(file).convert("RGB")).astype(float), -1, 0
        )
        assert (red > green + 40).all()
        assert red.std() < 8


def test_the_place_of_a_cut_counts_as_those_of_sections_do(browser, pages):
    """The middle of 40 voxels of 2 mm is 39 mm from the centre of the first."""
    with in_3d(browser, pages / "quarters.html") as page:
        for plane in ("Axial", "Coronal", "Sagittal"):
            page.get_by_role("radio", name=plane).check()
            assert caption(page).endswith(f"{plane.lower()} cut at 39\u00a0mm")


@pytest.mark.slow
def test_the_camera_goes_to_where_a_cut_is_seen(browser, pages):
    with in_3d(browser, pages / "quarters.html") as page:
        page.get_by_role("radio", name="Sagittal").check()
        assert caption(page).startswith("305°")  # From the right, of which half is gone.
        wait_for_place(page, (0.38, 0.64), "green")
        wait_for_place(page, (0.62, 0.64), "red")
        page.get_by_role("button", name="Other side").click()
        assert caption(page).startswith("55°")
        wait_for_place(page, (0.38, 0.64), "red")
        page.get_by_role("radio", name="Coronal").check()
        assert caption(page).startswith("200°")
        place = page.get_by_label("Place of the cut")
        place.fill(str(int(place.input_value()) - 2))
        wait_for_colors(page, "blue", "red")  # From behind, the back taken away.


def test_muscle_shows_what_is_below_the_fat(browser, pages):
    with in_3d(browser, pages / "layers.html") as page:
        wait_for_colors(page, "yellow", "yellow")
        page.get_by_role("radio", name="Muscle").check()
        wait_for_colors(page, "red", "red")
        page.get_by_role("radio", name="Skin").check()
        wait_for_colors(page, "yellow", "yellow")


@pytest.mark.slow
def test_less_opacity_lets_see_what_is_inside(browser, pages):
    def redness(page):
        box = page.locator(SURFACE).bounding_box()
        middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        file = BytesIO(page.screenshot(clip={**middle, "width": 5, "height": 5}))
        red, green, _ = np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3).mean(axis=0)
        return red / green

    with in_3d(browser, pages / "layers.html") as page:
        wait_for_colors(page, "yellow", "yellow")
        opaque = redness(page)
        page.get_by_label("Opacity").fill("20")
        end = time.monotonic() + WAIT_S
        while redness(page) < 1.3 * opaque:
            assert time.monotonic() < end, "the red inside is not seen"
            page.wait_for_timeout(100)


@pytest.mark.parametrize(
    "width",
    [
        320,
        pytest.param(360, marks=pytest.mark.slow),
        pytest.param(820, marks=pytest.mark.slow),
        1280,
    ],
)
def test_the_tab_fits_its_window(browser, pages, width):
    with in_3d(browser, pages / "layers.html", width=width, height=700) as page:
        page.get_by_role("radio", name="Axial").check()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for control in page.locator("#free button:visible, #free label:visible").all():
            box = control.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        for button in page.locator("#free button:visible").all():
            assert button.bounding_box()["height"] >= 24


def test_without_webgl_the_tab_says_so_and_the_pictures_stay(browser, pages):
    options = [*ARGUMENTS, "--disable-3d-apis"]
    other = browser.browser_type.launch(executable_path=PROGRAM, args=options)
    with opened(other, (pages / "layers.html").as_uri()) as page:
        page.get_by_role("tab", name="Free 3-D").click()
        page.get_by_text("3-D cannot be shown here: no WebGL 2").wait_for()
        page.get_by_role("tab", name="Pictures").click()
        assert page.locator(".body .surface").is_visible()
    other.close()


def test_without_script_there_is_no_tab(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "layers.html").as_uri())
    assert page.locator(".views").is_hidden()
    assert page.locator("#free").is_hidden()
    assert page.locator(".body img").is_visible()
    context.close()
