"""What stands around the code agrees with it: hooks, citation, forms for issues."""

from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml
from documents import ROOT

from medcolor.run import report

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RESULTS = ROOT / "benchmarks" / "results.csv"
FOLDER = ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(set(FOLDER.glob("*.yml")) - {FOLDER / "config.yml"})


def test_the_hooks_before_a_commit_run_what_make_check_runs_of_the_code():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    checks = re.findall(r"\$\(BIN\)/(ruff|mypy|lint-imports)\b(.*)", recipe[1])
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks]
    expected = [f".venv/bin/{name}{rest.removesuffix(' .')}" for name, rest in checks]
    assert entries == expected


def test_the_citation_names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_every_result_names_date_commit_machine_and_command_once_and_in_order():
    with RESULTS.open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert list(rows[0]) == ["date", "commit", "machine", "command", "what", "value"]
    assert [row for row in rows if None in row or not all(row.values())] == []
    dates = [date.fromisoformat(row["date"]) for row in rows]
    assert dates == sorted(dates)
    assert [row for row in rows if not re.fullmatch(r"[0-9a-f]{7,40}", row["commit"])] == []
    identities = Counter((row["commit"], row["command"], row["what"]) for row in rows)
    twice = {key for key, count in identities.items() if count > 1}
    assert all("ratio" in what for _, _, what in twice), "repeated runs are ratios on one machine"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_for_issues_are_whole(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids))
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_parts_of_a_record_that_a_form_requests_are_written():
    form = (FOLDER / "colours.yml").read_text()
    parts = re.search(r"The parts (.*?) of", form)[1]
    source = Path(report.__file__).read_text()
    assert [key for key in re.findall(r"`(\w+)`", parts) if f'"{key}":' not in source] == []
