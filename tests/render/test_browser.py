"""The pages in Chromium: what is on the screen after what hands do, told by colours."""

from dataclasses import replace
from io import BytesIO

import chromium
import numpy as np
import pytest
from chromium import IN_BROWSER, launched
from pages import GREY, flat_webp, make_content, make_stack, section_color, view_color
from PIL import Image
from playwright.sync_api import expect

from medcolor.render.page import CohortEntry, cohort_file, page_file

pytestmark = IN_BROWSER
BODY, SECTIONS = ".body .surface", ".sections .surface"


@pytest.fixture(scope="module")
def browser():
    with launched("--disable-gpu") as browser:
        yield browser


@pytest.fixture(scope="module")
def opened(browser):
    """Open a file."""
    return lambda path, **options: chromium.opened(browser, path.as_uri(), **options)


@pytest.fixture
def shown(opened, tmp_path):
    """Write a page and open it."""

    def show(content, **options):
        (tmp_path / "index.html").write_bytes(page_file(content))
        return opened(tmp_path / "index.html", **options)

    return show


def color_at(page, surface, across, down=0.25):
    """Return RGB of the screen at a place (shares of the sides) of a stage."""
    box = page.locator(surface).bounding_box()
    left, top = box["x"] + across * box["width"], box["y"] + down * box["height"]
    pixel = page.screenshot(clip={"x": left, "y": top, "width": 1, "height": 1})
    return tuple(int(channel) for channel in np.asarray(Image.open(BytesIO(pixel)))[0, 0, :3])


def drag(page, selector, across, *, start=(0.75, 0.3)):
    """Drag what is at `selector` by a share of the width of the body's stage."""
    box = page.locator(selector).bounding_box()
    x, y = box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    way = across * page.locator(BODY).bounding_box()["width"]
    for step in range(1, 6):
        page.mouse.move(x + way * step / 5, y)
    page.mouse.up()


def view_shown(page):
    """Return the number of the view that the screen shows, checked against what is announced."""
    red, green, _ = color_at(page, BODY, 0.9)
    assert red == 200
    index = round(green / 10)
    assert page.locator(BODY).get_attribute("aria-valuenow") == str(index)
    assert page.locator(BODY).get_attribute("aria-valuetext") == f"{30 * index}°"
    assert page.locator(".body .caption").text_content() == f"{30 * index}°"
    assert page.locator(".body .controls input").input_value() == str(index)
    return index


def test_dragging_turns_the_body_with_the_pointer_and_around(shown):
    with shown(make_content()) as page:
        assert view_shown(page) == 0
        drag(page, BODY, -0.5)  # Half the width is a quarter turn, three views of twelve.
        assert view_shown(page) == 3
        drag(page, BODY, 2 / 3)
        assert view_shown(page) == 11
        page.mouse.move(200, 400)  # Let go, it stays.
        assert view_shown(page) == 11


def test_a_finger_turns_it_too(shown):
    with shown(make_content(), width=360, height=740, has_touch=True) as page:
        box = page.locator(BODY).bounding_box()
        x, y = box["x"] + 0.9 * box["width"], box["y"] + 40
        session = page.context.new_cdp_session(page)
        for kind, way in (("Start", 0), ("Move", 0.1), ("Move", 0.3), ("Move", 0.5), ("End", None)):
            points = [] if way is None else [{"x": x - way * box["width"], "y": y}]
            event = {"type": f"touch{kind}", "touchPoints": points}
            session.send("Input.dispatchTouchEvent", event)
        assert view_shown(page) == 3
        assert page.evaluate("scrollY") == 0


def test_keys_turn_it(shown):
    with shown(make_content()) as page:
        page.locator(BODY).focus()
        presses = {
            "ArrowRight": 1, "ArrowUp": 2, "ArrowLeft": 1, "Home": 0, "ArrowDown": 11,
            "End": 11, "PageUp": 1, "PageDown": 11,
        }  # fmt: skip
        for key, expected in presses.items():
            page.keyboard.press(key)
            assert view_shown(page) == expected, key
        page.locator(".body .controls input").fill("7")
        assert view_shown(page) == 7


def test_a_way_through_the_body_ends_at_its_ends(shown):
    with shown(replace(make_content(), is_loop=False)) as page:
        page.locator(BODY).focus()
        page.keyboard.press("ArrowLeft")
        assert view_shown(page) == 0
        drag(page, BODY, 0.5, start=(0.1, 0.3))  # From begin to end in one width.
        assert view_shown(page) in (5, 6)
        page.keyboard.press("End")
        page.keyboard.press("ArrowRight")
        assert view_shown(page) == 11
        page.get_by_role("button", name="Play").click()  # From the begin, and only once.
        page.get_by_role("button", name="Pause").wait_for()
        page.get_by_role("button", name="Play").wait_for()
        assert view_shown(page) == 11


def test_it_plays_at_its_speed_until_it_is_paused(shown):
    with shown(make_content(), reduced_motion="no-preference") as page:
        assert page.get_by_role("button", name="Pause").is_visible()
        page.evaluate("""() => {  // Paused and played within one frame, it is no faster.
          document.querySelector(".play").click();
          document.querySelector(".play").click();
        }""")
        views_per_second = page.evaluate("""() => new Promise((resolve) => {
          const range = document.querySelector(".body .controls input");
          let [start, last, passed] = [performance.now(), Number(range.value), 0];
          const look = () => {
            passed += (Number(range.value) - last + 12) % 12;
            last = Number(range.value);
            const seconds = (performance.now() - start) / 1000;
            if (seconds > 1.5) resolve(passed / seconds);
            else requestAnimationFrame(look);
          };
          look();
        })""")
        assert views_per_second == pytest.approx(20, rel=0.2)
        page.locator(BODY).focus()
        page.keyboard.press(" ")
        first = view_shown(page)
        page.wait_for_timeout(200)
        assert view_shown(page) == first
        page.get_by_role("button", name="Play").click()
        expect(page.locator(".body .controls input")).not_to_have_value(str(first))
        drag(page, BODY, 0.1)
        assert page.get_by_role("button", name="Play").is_visible()


def test_who_wants_little_motion_gets_none_unasked(shown):
    with shown(make_content()) as page:
        page.wait_for_timeout(200)
        assert view_shown(page) == 0
        assert page.get_by_role("button", name="Play").is_visible()
        page.locator(BODY).focus()
        page.keyboard.press(" ")
        expect(page.locator(".body .controls input")).to_have_value("3")


def test_one_wipe_lays_the_scan_over_both_stages(shown):
    stack = replace(make_stack("axial"), mm_per_px=1.0)
    with shown(replace(make_content(), stacks=(stack,))) as page:
        wipe = page.locator("#wipe")
        assert color_at(page, BODY, 0.3) == color_at(page, SECTIONS, 0.4) == GREY
        assert color_at(page, BODY, 0.7) == view_color(0)
        assert color_at(page, SECTIONS, 0.6) == section_color("axial", 4)
        # By the handle of either stage, by the range, by the buttons at its ends.
        drag(page, ".body .knob", 0.25, start=(0.5, 0.5))
        assert wipe.input_value() == "75"
        assert color_at(page, BODY, 0.7) == color_at(page, SECTIONS, 0.6) == GREY
        assert color_at(page, BODY, 0.8) == view_color(0)
        drag(page, ".sections .divider", -0.5, start=(0.5, 0.4))
        assert wipe.input_value() == "25"
        assert color_at(page, BODY, 0.23) == GREY
        assert color_at(page, BODY, 0.27) == view_color(0)
        wipe.focus()
        page.keyboard.press("End")
        assert wipe.get_attribute("aria-valuetext") == "grey scan alone"
        assert color_at(page, BODY, 0.95) == GREY
        page.get_by_role("button", name="Colours").click()
        assert wipe.get_attribute("aria-valuetext") == "colours alone"
        assert color_at(page, BODY, 0.05) == view_color(0)
        assert page.locator(BODY).get_attribute("aria-valuenow") == "0"  # None of it turned it.


def test_without_a_scan_there_is_no_wipe(shown):
    with shown(make_content(has_scan=False)) as page:
        assert page.locator("#wipe").is_hidden()
        assert not any(divider.is_visible() for divider in page.locator(".divider").all())
        assert color_at(page, BODY, 0.1) == view_color(0)
        assert color_at(page, SECTIONS, 0.4) == section_color("axial", 4)


def section_shown(page):
    """Return plane and number of the section that the screen shows, and what is said of it."""
    _, green, blue = color_at(page, SECTIONS, 0.6)
    return round(blue / 60), round(green / 10), page.locator(".sections .caption").text_content()


def test_sections_are_leafed_through_by_slider_keys_and_wheel(shown):
    with shown(make_content()) as page:
        assert section_shown(page) == (1, 4, "Axial, 0\u00a0mm")
        page.get_by_role("slider", name="Axial section, place in mm").fill("6")
        assert section_shown(page) == (1, 6, "Axial, 10\u00a0mm")
        page.locator(SECTIONS).focus()
        for key, expected in {"ArrowDown": 5, "ArrowRight": 6, "End": 8, "Home": 0}.items():
            page.keyboard.press(key)
            assert section_shown(page)[1] == expected
        assert page.locator(SECTIONS).get_attribute("aria-valuetext") == "Axial, −20\u00a0mm"
        page.locator(SECTIONS).hover(position={"x": 50, "y": 50})
        place = page.locator(".sections .controls input")
        for wheel, expected in ((-120, "3"), (80, "1")):
            page.mouse.wheel(0, wheel)
            expect(place).to_have_value(expected)
        assert section_shown(page) == (1, 1, "Axial, −15\u00a0mm")
        assert page.evaluate("scrollY") == 0


def test_at_the_last_section_the_wheel_scrolls_the_page_on(shown):
    with shown(make_content(), height=600) as page:
        page.locator(SECTIONS).focus()
        page.keyboard.press("Home")
        page.locator(SECTIONS).hover(position={"x": 50, "y": 50})
        page.mouse.wheel(0, 80)
        page.wait_for_timeout(300)
        assert section_shown(page)[1] == 0
        assert page.evaluate("scrollY") > 0


def test_every_plane_has_its_tab_its_letters_and_its_place(shown):
    with shown(make_content()) as page:
        page.get_by_role("tab", name="Coronal").click()
        assert section_shown(page) == (2, 4, "Coronal, 0\u00a0mm")
        letters = page.locator(".edge").all_text_contents()
        assert letters == ["R", "L", "S", "I"]
        label = page.locator(SECTIONS).get_attribute("aria-label")
        assert "right is at the left" in label
        assert "feet at the bottom" in label
        page.locator(SECTIONS).focus()
        page.keyboard.press("End")
        page.get_by_role("tab", name="Coronal").focus()
        page.keyboard.press("ArrowRight")
        assert section_shown(page) == (3, 4, "Sagittal, 0\u00a0mm")
        assert page.evaluate("document.activeElement.textContent") == "Sagittal"
        page.keyboard.press("ArrowLeft")
        assert section_shown(page) == (2, 8, "Coronal, 20\u00a0mm")


@pytest.mark.parametrize("width", [1280, 320])
def test_the_scale_is_as_long_as_it_says(shown, width):
    with shown(make_content(planes=("axial",)), width=width) as page:
        length_mm = int(page.locator(".scale span").text_content().removesuffix(" mm"))
        length_px = page.locator(".scale i").bounding_box()["width"]
        # The section is 200 mm high and fills the height of its stage.
        stage_px = page.locator(SECTIONS).bounding_box()["height"]
        assert length_px / stage_px == pytest.approx(length_mm / 200, rel=0.01)
        assert length_mm in (10, 20, 50, 100)
        assert 0.1 * stage_px < length_px < 0.26 * stage_px


@pytest.mark.parametrize("width", [320, 360, 820, 1280, 2560])
def test_no_width_makes_it_scroll_sideways(shown, width):
    content = replace(make_content(), title="x" * 200, facts={"digest": "f" * 128})
    with shown(content, width=width, height=600) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for control in page.locator("button:visible, input:visible").all():
            box = control.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 24


def test_everything_is_reached_by_the_tab_key(shown):
    with shown(make_content()) as page:
        reached = []
        for _ in range(9):
            page.keyboard.press("Tab")
            name = page.evaluate("""() => {
              const at = document.activeElement;
              const label = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent;
              return label ?? at.textContent;
            }""")
            reached.append(name)
            assert has_ring(page), name
        assert reached[:3] == ["t1.ome.zarr", "Play", "View of the body"]
        assert reached[3].startswith("Axial section: ")
        assert reached[4:6] == ["Axial", "Axial section, place in mm"]
        assert reached[6] == "Grey scan"
        assert "grey scan" in reached[7]
        assert reached[8] == "Colours"


def has_ring(page):
    """Whether the screen shows the colour of the focus beside or just inside what has it."""
    box = page.locator(":focus").bounding_box()
    margin = 6
    clip = {"x": box["x"] - margin, "width": box["width"] + 2 * margin}
    clip |= {"y": box["y"] - margin, "height": box["height"] + 2 * margin}
    screen = np.asarray(Image.open(BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)
    # A ring may lie between two pixels, and be half as bright in both.
    accent = np.abs(screen - (224, 184, 119)).max(axis=-1) < 80
    row = accent[len(accent) // 3]  # Away from the tracks of ranges.
    return row[: 2 * margin].any() and row[-2 * margin :].any()


def test_without_script_the_first_view_and_the_notice_show(shown):
    with shown(make_content(), java_script_enabled=False) as page:
        assert color_at(page, BODY, 0.5) == view_color(0)
        assert page.get_by_text("Not a medical device.").is_visible()
        assert page.get_by_text("skin").is_visible()
        assert page.locator("button:visible, input:visible").count() == 0


def test_one_view_without_sections_is_a_picture(shown):
    with shown(make_content(1, ())) as page:
        assert color_at(page, BODY, 0.7) == view_color(0)
        assert color_at(page, BODY, 0.3) == GREY
        assert page.get_by_role("img", name="t1.ome.zarr").is_visible()
        assert page.get_by_role("button", name="Play").is_hidden()
        assert page.locator(".sections").is_hidden()


def test_a_single_section_is_shown(shown):
    with shown(replace(make_content(1), stacks=(make_stack("axial", 1),))) as page:
        assert section_shown(page) == (1, 0, "Axial, 0\u00a0mm")


def test_texts_from_outside_do_nothing(shown, opened, tmp_path):
    hostile = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    content = replace(make_content(), title=hostile, facts={hostile: hostile}, credits=(hostile,))
    stack = replace(make_stack("axial"), plane=hostile, edges=(hostile,) * 4)
    with shown(replace(content, stacks=(stack,))) as page:
        assert page.title() == hostile
        assert page.locator("img").count() == 1
    entry = CohortEntry(hostile, "a/index.html", flat_webp(GREY), {hostile: hostile})
    (tmp_path / "cohort.html").write_bytes(cohort_file(hostile, [entry]))
    with opened(tmp_path / "cohort.html") as page:
        assert page.title() == hostile
        assert page.locator("img").count() == 1


@pytest.fixture
def cohort(tmp_path):
    """A cohort's page over thirty entries, of which the seventh exists."""
    names = [f"Person-{k:03d}" for k in range(30)]
    entries = [
        CohortEntry(name, f"{name}/index.html", flat_webp((k, 100, 0)), {"voxels": "9 x 9 x 9"})
        for k, name in enumerate(names)
    ]
    (tmp_path / "index.html").write_bytes(cohort_file("All persons", entries))
    (tmp_path / names[7]).mkdir()
    (tmp_path / names[7] / "index.html").write_bytes(page_file(make_content()))
    return tmp_path / "index.html"


def test_the_filter_shows_the_names_that_hold_what_is_typed(opened, cohort):
    with opened(cohort) as page:
        links = page.locator(".grid a:visible")
        assert links.count() == 30
        assert page.locator("output").text_content() == "30 in all"
        page.get_by_label("Filter by name").press_sequentially("pERSON-02")
        assert links.locator("h2").all_text_contents() == [f"Person-02{k}" for k in range(10)]
        assert page.locator("output").text_content() == "10 of 30"
        page.keyboard.press("7")
        assert links.count() == 1
        page.keyboard.press("Escape")
        assert links.count() == 30
        page.keyboard.type("nobody")
        assert links.count() == 0
        assert page.locator("output").text_content() == "0 of 30"


def test_an_entry_leads_to_its_page_and_back_by_keys(browser, cohort):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(cohort.as_uri())
    page.get_by_label("Filter by name").fill("007")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.url == (cohort.parent / "Person-007" / "index.html").as_uri()
    page.go_back()
    assert page.get_by_label("Filter by name").is_visible()
    page.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_the_cohort_fits_its_window_and_works_without_script(opened, cohort, width):
    with opened(cohort, width=width, height=700, java_script_enabled=False) as page:
        assert page.locator(".grid a:visible").count() == 30
        assert page.locator(".filter").is_hidden()
    with opened(cohort, width=width, height=700) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert color_at(page, ".grid li:nth-child(2) img", 0.5) == (1, 100, 0)
