"""The documents are true: what they name exists, their commands parse, their code runs."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import tomllib

import numpy as np
import pytest
import typer
from documents import (
    CURRENT,
    DOCUMENTS,
    ROOT,
    anchors,
    blocks,
    inline_code,
    links,
    name_of,
    prose,
    shell_lines,
)

import medcolor
from medcolor.cli import app
from medcolor.config import RunSettings, load_settings
from medcolor.domain import VolumeGeometry
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, read_slices, write_slab

EVERY_DOCUMENT = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
EVERY_CURRENT_DOCUMENT = pytest.mark.parametrize("path", CURRENT, ids=name_of)
STAGES = "|".join(RunSettings.model_fields)
NOT_A_SETTING = ("py", "json", "yaml", "npz", "css", "html", "js", "md")
FOREIGN_OPTIONS = {
    *("--working-dir", "--require-hashes"),  # ray job submit, pip
    *("--check", "--upgrade", "--real"),  # scripts of jobs/
}


def medcolor_lines():
    return [line for path in CURRENT for line in shell_lines(path, "medcolor")]


@pytest.mark.parametrize("line", medcolor_lines())
def test_every_command_parses_with_its_arguments_options_and_settings(line):
    words = shlex.split(line)[1:]
    for position, word in enumerate(words):
        if word == "--set":
            load_settings(None, [words[position + 1]])
    command = typer.main.get_command(app)
    context = command.make_context("medcolor", list(words), resilient_parsing=True)
    # Parsed to the end without running anything: an unknown word or option raises.
    name, command, rest = command.resolve_command(context, words)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
    command.make_context(name, list(rest))


def test_the_documents_show_every_command():
    shown = "".join(f"{line} \n" for line in medcolor_lines())
    assert [name for name, _ in commands() if f"{name} " not in shown] == []


def commands(name="medcolor", command=None):
    """Yield every command that does something, by its whole name."""
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        yield name, command
    for child, sub in children.items():
        yield from commands(f"{name} {child}", sub)


def test_options_that_the_prose_names_exist():
    known = {option for _, command in commands() for p in command.params for option in p.opts}
    named = {
        option
        for path in CURRENT
        for code in inline_code(path)
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]+", code)
    }
    assert len(named) > 15
    assert named - known - FOREIGN_OPTIONS == set()


@EVERY_CURRENT_DOCUMENT
def test_settings_that_the_prose_names_exist(path):
    for code in inline_code(path):
        for stage, key in re.findall(rf"(?<![\w./<>-])({STAGES})\.(\w+)", code):
            fields = vars(getattr(RunSettings(), stage))
            is_module = (ROOT / "medcolor" / stage / f"{key}.py").exists()
            assert key in fields or key in NOT_A_SETTING or is_module, f"{stage}.{key}"
        for change in re.findall(r"--set '?(\w+\.\w+=[^'\s]+)", code):
            load_settings(None, [change])


def test_defaults_that_the_prose_names_are_those_of_the_code():
    text = "\n".join(prose(path) for path in CURRENT)
    stated = re.findall(r"`--set (\w+)\.(\w+)=[^`]*` \(default ([\d.]+)", text)
    stated += re.findall(r"`(\w+)\.(\w+)` \((\d+)(?: voxels)?\)", text)
    assert len(stated) >= 4
    for stage, key, value in stated:
        assert getattr(getattr(RunSettings(), stage), key) == float(value), f"{stage}.{key}"


@EVERY_CURRENT_DOCUMENT
def test_targets_of_make_exist(path):
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = [line.split()[1] for line in shell_lines(path, "make")]
    words += [code.split()[1] for code in inline_code(path) if re.match(r"make [a-z]", code)]
    assert set(words) - known == set()


@EVERY_CURRENT_DOCUMENT
def test_files_of_the_repository_that_the_prose_names_exist(path):
    top = "configs|jobs|tests|cluster|medcolor|docs|benchmarks"
    modules = {module.name for module in ROOT.glob("[jmt]*/**/*.py")}
    for code in inline_code(path):
        for name in re.findall(rf"(?<![\w/.~:-])(?:{top})/[\w./-]*\w", code):
            assert (ROOT / name).exists() or "OUTPUT" in code, f"{name_of(path)}: {name}"
        for name in re.findall(r"(\w+\.py)\b", code):
            assert name in modules, f"{name_of(path)}: {name}"


GENERATED_PAGES = {"settings.md", "commands.md", "python-reference.md"}
"""Written when the site is built (jobs/site_pages.py)."""


@EVERY_DOCUMENT
def test_links_lead_to_files_and_headings(path):
    for file, anchor in links(path):
        if file in GENERATED_PAGES:
            continue
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name_of(path)}: {file}"
        assert not anchor or anchor in anchors(target), f"{name_of(path)}: {file}#{anchor}"


@EVERY_DOCUMENT
def test_prose_is_at_most_120_columns_wide(path):
    is_free = re.compile(r"\s*\||!\[")  # a row of a table and a picture are one line each
    wide = [line for line in prose(path).splitlines() if len(line) > 120]
    assert [line for line in wide if not is_free.match(line)] == []


PRIVATE_WORDS = re.compile(
    r"\b(heard|told|lies?|asks?|asked|said|anew|dear|speaks?|disguised?|yardstick|rivals?)\b"
)
"""Words of this project for what the field has terms for; CONTRIBUTING.md names them."""


@EVERY_DOCUMENT
def test_prose_uses_the_words_of_the_field(path):
    text = re.sub(r"`[^`]*`|\*\w+\*", "", prose(path))
    assert sorted({match[0] for match in PRIVATE_WORDS.finditer(text)}) == []


def test_the_layers_of_the_architecture_are_those_that_are_enforced():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (enforced,) = (one["layers"] for one in contracts["contracts"] if one["type"] == "layers")
    block = next(block for block in blocks(ROOT / "ARCHITECTURE.md") if "\ncli " in block)
    named = [line.split("  ")[0] for line in block.splitlines() if not line.startswith(" ")]
    shown = [name if " | " in name else name.split()[0] for name in named]
    assert shown == [layer.replace("medcolor.", "") for layer in enforced]


def python_blocks():
    return [code for path in CURRENT for code in blocks(path, "python")]


@pytest.mark.parametrize("code", python_blocks())
def test_imports_of_python_examples_work_and_their_calls_fit_the_signatures(code):
    tree = ast.parse(code)
    names = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            names |= {alias.name: getattr(module, alias.name) for alias in node.names}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        if called.startswith("medcolor."):
            names[called] = getattr(medcolor, called.removeprefix("medcolor."))
        if called in names:
            keywords = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(names[called]).bind(*call.args, **keywords)


def test_the_napari_recipe_gives_channels_last(tmp_path, monkeypatch):
    (code,) = blocks(ROOT / "docs" / "viewers.md", "python")
    spacing = (2.0, 1.0, 1.0)
    affine = as_affine(affine_from_code("LPS", spacing))
    settings = StoreSettings(slab_slices=4, chunk=(4, 8, 8), smallest_side=8)
    path = tmp_path / "t1.ome.zarr"
    levels = create_store(path, VolumeGeometry((4, 16, 12), spacing, affine), settings, {})
    rgba = np.random.default_rng(0).integers(0, 256, (4, 16, 12, 4), dtype=np.uint8)
    write_slab(path, 0, range(4), rgba)
    write_slab(path, 1, range(4), coarse_slab(path, levels[1], range(4)))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    np.testing.assert_array_equal(names["rgba"][0].compute(), rgba)
    np.testing.assert_array_equal(names["rgba"][1].compute(), read_slices(path, 1, range(4)))
