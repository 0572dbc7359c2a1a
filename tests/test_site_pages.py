"""The generated pages of the site, and how links of the documents get there."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import typer
from documents import ROOT

import medcolor
from medcolor.cli import app
from medcolor.config import RunSettings


@pytest.fixture
def site(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "jobs"))
    return importlib.import_module("site_pages")


def test_the_page_of_settings_has_every_setting_with_its_default(site):
    page = site.settings_page()
    found = dict(re.findall(r"^### (\w+\.\w+) .*\n\nDefault: `(.*)`$", page, re.MULTILINE))
    defaults = RunSettings().model_dump(mode="json")
    assert {key: json.loads(value) for key, value in found.items()} == {
        f"{stage}.{name}": value
        for stage, fields in defaults.items()
        for name, value in fields.items()
    }


def test_the_page_of_commands_has_every_option_below_its_command(site):
    sections = re.split(r"^## ", site.commands_page(), flags=re.MULTILINE)[1:]
    shown = {name: body for name, _, body in (section.partition("\n") for section in sections)}

    def check(name, command):
        for child, sub in getattr(command, "commands", {}).items():
            check(f"{name} {child}", sub)
        if not hasattr(command, "commands"):
            text = shown.pop(name)
            options = [option for p in command.params for option in p.opts if option[0] == "-"]
            assert [option for option in options if option not in text] == []

    check("medcolor", typer.main.get_command(app))
    assert shown == {}


def test_the_page_of_python_has_every_public_name_and_every_argument(site):
    page = site.python_page()
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == medcolor.__all__
    assert "    target: PathLike,\n" in page
    assert "- `progress`: " in page
    assert "\nArgs:" not in page


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        ("docs/index.md", "[x](../ARCHITECTURE.md)", "[x](how-it-works.md)"),
        ("docs/decisions/a.md", "[x](../../cluster/README.md#costs)", "[x](../clusters.md#costs)"),
        ("docs/decisions/a.md", "[x](../scans.md#dicom)", "[x](../scans.md#dicom)"),
        ("cluster/README.md", "[x](../docs/runs.md)", "[x](runs.md)"),
        ("ARCHITECTURE.md", "[x](docs/scans.md)", "[x](scans.md)"),
        ("CONTRIBUTING.md", "[x](LICENSE)", "`LICENSE`"),
        ("docs/index.md", "[x](https://example.org/a.md)", "[x](https://example.org/a.md)"),
        ("docs/index.md", "[x](nowhere.md)", "[x](nowhere.md)"),
        ("docs/index.md", "[x](#use)", "[x](#use)"),
    ],
)
def test_links_of_the_repository_lead_to_pages_of_the_site(site, source, link, expected):
    assert site.site_links(link, source) == expected


def test_documents_beside_the_code_exist(site):
    assert [path for path in site.DOCUMENTS.values() if not (ROOT / path).is_file()] == []


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The documents in a folder of their own, and the command of `make docs` that builds them."""
    pytest.importorskip("material", reason="mkdocs-material comes with the extra docs")
    folder = tmp_path_factory.mktemp("site")
    for name in ("docs", "jobs", "cluster"):
        shutil.copytree(ROOT / name, folder / name)
    for file in (ROOT / "mkdocs.yml", *ROOT.glob("*.md"), ROOT / "medcolor/matching/DESIGN.md"):
        target = folder / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    (recipe,) = re.findall(
        r"mkdocs (build.*?)\s*(?:#.*)?$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    return folder, [sys.executable, "-m", "mkdocs", *recipe.split()]


def build(folder, command):
    paths = os.pathsep.join([str(ROOT), *sys.path])
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_site_is_built_and_loads_nothing_from_elsewhere(copied):
    folder, command = copied
    done = build(folder, command)
    assert done.returncode == 0, done.stderr
    pages = list((folder / "out" / "site").glob("*.html"))
    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|img)[^>]* src=\"?https?:|<link[^>]* href=\"?https?:")
    assert [page.name for page in pages if loaded.search(page.read_text())] == []


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](looks.md#no-such-heading)"])
def test_a_link_that_leads_nowhere_fails_the_build(copied, link):
    folder, command = copied
    page = folder / "docs" / "scans.md"
    text = page.read_text()
    page.write_text(f"{text}\n{link}\n")
    try:
        assert build(folder, command).returncode == 1
    finally:
        page.write_text(text)
