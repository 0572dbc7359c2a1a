"""Every DICOM field that code asks for is in the list of what its module reads of a file.

A field that is asked for and not read looks absent, whatever the file says: a slope of 2 was 1.
"""

import ast
import importlib
from pathlib import Path

import pydicom
import pytest
from dicom_files import encode, random_words, write_multiframe, write_words
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.pixels.utils import pixel_array

import medcolor
from medcolor.export.dicom_identity import IDENTITY_TAGS
from medcolor.volume.dicom_marks import MARK_TAGS
from medcolor.volume.dicom_pixels import PIXEL_TAGS
from medcolor.volume.dicom_slices import HEADER_TAGS

LISTS = {
    "medcolor.export.dicom_identity": ("IDENTITY_TAGS", IDENTITY_TAGS),
    "medcolor.volume.dicom_marks": ("MARK_TAGS", MARK_TAGS),
    "medcolor.volume.dicom_slices": ("HEADER_TAGS", HEADER_TAGS),
    "medcolor.volume.dicom_pixels": ("PIXEL_TAGS", PIXEL_TAGS),
}
"""Of each module that reads DICOM: its list."""

WRITERS = {"medcolor.export.dicom"}
"""Modules that write DICOM and read none: they call nothing that opens a file."""

ROOT = Path(medcolor.__file__).parent


def fields_asked_for(source: str, list_name: str) -> set[str]:
    """Return the keywords that stand in code, as names, strings or tags, beside the list itself."""
    tree = ast.parse(source)
    inside = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == list_name
        for part in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in inside:
            continue
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0xFFFF:
            found.add(keyword_for_tag(node.value))
        elif isinstance(node, ast.Tuple):
            pair = [part.value for part in node.elts if isinstance(part, ast.Constant)]
            if len(pair) == 2 and all(type(part) is int for part in pair):
                found.add(keyword_for_tag(pair[0] << 16 | pair[1]))
    tags = {keyword: tag_for_keyword(keyword) or 0 for keyword in found if keyword}
    return {keyword for keyword, tag in tags.items() if tag >> 16 > 2}  # file meta is always read


def modules_with_dicom() -> dict[str, str]:
    """Return the source of every module that imports pydicom, by name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        source = path.read_text()
        imported = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        }
        if "pydicom" in imported:
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            found[".".join(parts)] = source
    return found


def test_each_module_that_reads_dicom_has_a_list():
    reading = {
        name
        for name, source in modules_with_dicom().items()
        if name not in WRITERS and fields_asked_for(source, "")
    }
    assert reading == LISTS.keys()


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_the_modules_that_only_write_dicom_open_none(name):
    calls = [
        one for one in ast.walk(ast.parse(modules_with_dicom()[name])) if isinstance(one, ast.Call)
    ]
    opened = {ast.unparse(one.func).rpartition(".")[2] for one in calls}
    assert not opened & {
        "dcmread", "read_file", "read_fields", "read_partial", "read_dataset", "iter_pixels",
        "open", "read_bytes",
    }  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_every_field_asked_for_is_read(name):
    list_name, tags = LISTS[name]
    asked = fields_asked_for(modules_with_dicom()[name], list_name)
    assert len(asked) > 10
    assert asked <= set(tags)


@pytest.mark.parametrize("name", LISTS)
def test_nothing_is_read_that_nobody_asks_for(name):
    """Of a file with people in it; what pydicom's decoders ask for counts."""
    list_name, tags = LISTS[name]
    asked = fields_asked_for(modules_with_dicom()[name], list_name)
    decoders = asked_by_decoders() if list_name == "PIXEL_TAGS" else set()
    assert set(tags) <= asked | decoders


def asked_by_decoders() -> set[str]:
    """Return what pydicom's source of options asks of a dataset."""
    pixels = ast.parse(Path(importlib.import_module("pydicom.pixels.utils").__file__).read_text())
    (options,) = (
        node
        for node in ast.walk(pixels)
        if isinstance(node, ast.FunctionDef) and node.name == "as_pixel_options"
    )
    numbers = next(
        node.value
        for node in ast.walk(pixels)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_IMAGE_PIXEL"
    )
    used = fields_asked_for(ast.unparse(options), "") | fields_asked_for(ast.unparse(numbers), "")
    return used | {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}


@pytest.mark.parametrize(
    "line",
    [
        "data.RescaleSlope",
        "data.get('RescaleSlope')",
        "data['RescaleSlope'].value",
        "for keyword in ('RescaleSlope',): data[keyword]",
        "data[0x00281053]",
        "data[0x0028, 0x1053]",
        "data.get((0x0028, 0x1053))",
    ],
)
def test_the_walk_finds_every_way_of_asking(line):
    assert fields_asked_for(f"TAGS = ['Rows', 'PatientName']\n{line}", "TAGS") == {"RescaleSlope"}


@pytest.mark.parametrize("syntax", ["", "RLELossless", "JPEGLSLossless", "JPEG2000Lossless"])
@pytest.mark.parametrize("kind", ["u1", "<u2", "<i2", "<f4"])
def test_pixels_of_the_fields_that_are_read_are_those_of_the_whole_file(tmp_path, syntax, kind):
    path = tmp_path / "slice.dcm"
    stack = random_words("<i2").astype(kind) if kind == "<f4" else random_words(kind)
    write_words(path, 0, stack[0])
    if syntax and kind != "<f4":
        encode(path, syntax)
    part = pydicom.dcmread(path, specific_tags=PIXEL_TAGS)
    assert pixel_array(part).tobytes() == pixel_array(pydicom.dcmread(path)).tobytes()


def test_fields_of_groups_are_read_with_their_sequence(tmp_path):
    write_multiframe(tmp_path / "frames.dcm", [0.0, 1.0], random_words("<u2")[:2], [(3, -1)] * 2)
    tags = [*HEADER_TAGS, *MARK_TAGS]
    part = pydicom.dcmread(tmp_path / "frames.dcm", specific_tags=tags)
    whole = pydicom.dcmread(tmp_path / "frames.dcm")
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        assert part[name] == whole[name]
    assert "PatientName" not in part
