"""The files of the pages, without a browser: what they hold, and what can not get out of them."""

import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from pages import flat_webp, make_content, make_stack, pair, view_color

from medcolor.render.page import CohortEntry, View, cohort_file, page_file

HOSTILE = "</title></script><script>alert(1)</script><!-- \"'&amp; $title ${x} {0} é\u2028"


class Elements(HTMLParser):
    """All elements, with their attributes and the text directly inside."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])
        self.open.append(self.found[-1])

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.open[-1][2] += data

    def all(self, tag, **attributes):
        return [
            (attrs, text)
            for name, attrs, text in self.found
            if name == tag and attributes.items() <= attrs.items()
        ]


@pytest.fixture
def written(tmp_path):
    def write(content):
        (tmp_path / "index.html").write_bytes(page_file(content))
        return (tmp_path / "index.html").read_text(encoding="utf-8")

    return write


def block(page):
    ((_, text),) = Elements(page).all("script", id="content")
    return json.loads(text)


def without_pictures(page):
    return re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]*", "data:", page)


def cohort(tmp_path, *entries, title="cohort"):
    (tmp_path / "cohort.html").write_bytes(cohort_file(title, entries))
    return (tmp_path / "cohort.html").read_text(encoding="utf-8")


def entry(name="person-1", href="person-1/index.html", **facts):
    return CohortEntry(name, href, flat_webp((9, 9, 9)), facts)


def test_the_block_holds_every_picture_as_it_was_given(written):
    content = make_content()
    data = block(written(content))
    prefix = "data:image/webp;base64,"
    for kind in ("color", "grey"):
        given = [getattr(view.pictures, kind) for view in content.views]
        assert data["views"][kind] == [prefix + b64encode(webp).decode() for webp in given]
    assert data["views"]["labels"][3] == "90°"
    assert [stack["plane"] for stack in data["stacks"]] == ["axial", "coronal", "sagittal"]
    sagittal = data["stacks"][2]
    assert sagittal["edges"] == ["A", "P", "S", "I"]
    assert sagittal["mm_per_px"] == 2.5
    assert sagittal["positions_mm"] == [-20, -15, -10, -5, 0, 5, 10, 15, 20]
    first = content.stacks[2].sections[0].pictures.color
    assert b64decode(sagittal["color"][0].removeprefix(prefix)) == first


def test_without_script_the_first_view_the_notice_the_facts_and_the_credits_stand_there(written):
    content = make_content()
    page = written(content)
    ((attributes, _),) = Elements(page).all("img")
    assert b64decode(attributes["src"].partition(",")[2]) == content.views[0].pictures.color
    assert (attributes["width"], attributes["height"]) == ("48", "48")
    assert attributes["alt"] == "t1.ome.zarr: 0°"
    for text in ("Not a medical device.", "they are no measurement of this one", "<dd>skin</dd>"):
        assert text in page
    assert "<li>Photographs: somebody</li>" in page


def test_one_view_and_nothing_else_is_a_page(written):
    page = written(replace(make_content(1, (), has_scan=False), facts={}, credits=()))
    data = block(page)
    assert len(data["views"]["color"]) == 1
    assert data["views"]["grey"] is None
    assert data["stacks"] == []
    assert not Elements(page).all("dl")
    assert "What is body" not in page
    content = make_content()
    sheet = content.views[0].pictures.color
    assert "What is body" in written(replace(content, body=sheet))


@pytest.mark.parametrize("kind", ["page", "cohort"])
def test_the_file_asks_for_nothing_and_its_policy_allows_nothing(written, tmp_path, kind):
    page = written(make_content()) if kind == "page" else cohort(tmp_path, entry())
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(", without_pictures(page).split("<script")[0]
    )
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|https?:", without_pictures(page))
    elements = Elements(page)
    for _, attributes, _ in elements.found:
        for name in ("src", "href", "srcset", "poster", "action", "data"):
            value = attributes.get(name, "data:")
            assert value.startswith("data:") or value == "person-1/index.html"
    ((policy, _),) = elements.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.split(" ", 1) for rule in policy["content"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    # The one script there is, by its digest.
    ((_, script),) = elements.all("script", type="module")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"


def test_hostile_texts_stay_texts(written, tmp_path):
    stack = replace(make_stack("axial"), plane=HOSTILE)
    view = View(pair(view_color(0)), HOSTILE)
    content = replace(
        make_content(),
        title=HOSTILE,
        views=(view,),
        stacks=(stack,),
        facts={HOSTILE: HOSTILE},
        credits=(HOSTILE,),
    )
    elements = Elements(written(content))
    assert len(elements.all("script")) == 2
    assert elements.all("title") == [({}, HOSTILE)]
    assert elements.all("h1") == elements.all("dt") == elements.all("dd") == [({}, HOSTILE)]
    assert ({}, HOSTILE) in elements.all("li")
    assert elements.all("img")[0][0]["alt"] == f"{HOSTILE}: {HOSTILE}"
    data = block(written(content))
    assert data["views"]["title"] == data["views"]["labels"][0] == HOSTILE
    assert data["stacks"][0]["plane"] == HOSTILE

    page = cohort(
        tmp_path, entry(HOSTILE, 'a"><script>/b.html', **{HOSTILE: HOSTILE}), title=HOSTILE
    )
    elements = Elements(page)
    assert len(elements.all("script")) == 1
    assert elements.all("h1") == elements.all("h2") == elements.all("dd") == [({}, HOSTILE)]
    assert elements.all("a")[0][0]["href"] == 'a"><script>/b.html'


def test_a_name_that_is_no_text_does_not_stop_the_page(written):
    assert "<h1>a?b</h1>" in written(replace(make_content(1, ()), title="a\udcffb"))


def test_what_cannot_be_shown_is_refused(written, tmp_path):
    with pytest.raises(ValueError, match="at least one view"):
        written(make_content(views=0))
    with pytest.raises(ValueError, match="at least one section"):
        written(replace(make_content(), stacks=(replace(make_stack("axial"), sections=()),)))
    some = make_content(2).views[0], make_content(2, has_scan=False).views[1]
    with pytest.raises(ValueError, match="1 of 2 pictures"):
        written(replace(make_content(), views=some))
    with pytest.raises(ValueError, match="WebP"):
        cohort(tmp_path, replace(entry(), thumbnail=b"\x89PNG"))


@pytest.mark.parametrize("href", ["javascript:alert(1)", "//host/x", "/x", "file:///x"])
def test_a_cohort_leads_to_its_own_pages_alone(tmp_path, href):
    with pytest.raises(ValueError, match="relative"):
        cohort(tmp_path, entry(href=href))


def luminance(color):
    """Return the relative luminance of #rrggbb, WCAG 2.2."""
    shares = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_stands_out_as_wcag_aa_asks(written):
    colors = dict(re.findall(r"--(\w+): (#\w{6});", written(make_content(1))))
    for text in ("text", "quiet", "accent"):
        for ground in ("ground", "raised"):
            light, dark = luminance(colors[text]), luminance(colors[ground])
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_cohort_lists_its_entries_in_order_as_links(tmp_path):
    names = [f"person-{k:03d}" for k in range(300)]
    page = cohort(tmp_path, *(entry(name, f"{name}/index.html", slices="9") for name in names))
    elements = Elements(page)
    assert [text for _, text in elements.all("h2")] == names
    assert [attrs["href"] for attrs, _ in elements.all("a")] == [f"{n}/index.html" for n in names]
    assert "Not a medical device." in page
