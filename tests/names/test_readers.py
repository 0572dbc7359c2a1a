"""Who reads names out of files, and who deletes: listed, so that nobody new forgets the function.

The code is walked: a module that parses a format in which names can stand must be listed here, and
if any name of it becomes a path, call one of the functions of `storage/names.py`. A function that
deletes must be listed with how it knows that the file is this program's.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import medcolor

PACKAGE = Path(medcolor.__file__).parent
PARSERS = {
    "json.load", "json.loads", "read_object", "yaml.safe_load", "validate_json", "validate_python",
    "pq.read_table", "pq.ParquetFile", "pq.read_schema", "zipfile.ZipFile", "tarfile.open",
    "shutil.unpack_archive", "nrrd.read_header", "nrrd.read", "nib.load", "zarr.open_group",
    "zarr.open_array", "zarr.open", "pydicom.dcmread", "TiffFile", "tifffile.TiffFile",
    "safe_open", "load_file", "torch.load", "np.load", "np.loadtxt", "obstore.list",
    "obstore.list_with_delimiter", "HTMLParser", "ElementTree.parse", "tomllib.load",
    "csv.reader", "configparser.ConfigParser", "pickle.load", "pickle.loads", "urlopen",
    "urllib.request.urlopen",
}  # fmt: skip
"""Calls (and base classes) that take apart what may hold names."""

GUARDS = {
    "plain_name", "plain_key", "path_below", "recorded_place", "why_not_plain",
}  # fmt: skip

READERS = {
    "data/manifest.py": "guarded",
    "reference/manifest.py": "guarded",
    "render/picture_set.py": "guarded",
    "retrieval/parts.py": "guarded",
    "run/cohort_manifest.py": "guarded",
    "storage/object_path.py": "guarded",
    "volume/nrrd.py": "the file of voxels that it names is found by `nrrd_voxels.py`, which asks",
    "volume/image_header.py": "numbers",
    "volume/image_orientation.py": "a number",
    "volume/zarr_bounds.py": "whether it is JSON",
    "volume/image_pixel.py": "two numbers",
    "volume/ome_zarr_image.py": "guarded",
    "volume/store.py": "guarded",
    "weights.py": "guarded",
    "config.py": "the user's own settings; paths in them are the user's",
    "download.py": "the caller names the file; nothing a server says becomes a name",
    "evaluate/registered.py": "numbers of levels, looked up among the photographs",
    "evaluate/features/rivals.py": "tensors by name, compared with the network's",
    "export/dicom_identity.py": "fields that are copied into an export",
    "export/folder.py": "whether a key is there",
    "features/published.py": "tensors by name, compared with a table",
    "features/store.py": "tensors by name, compared with the network's",
    "fetch.py": "checksums are looked up by keys that passed `ObjectPath.versions`",
    "retrieval/decode.py": "a matrix of numbers",
    "retrieval/record.py": "ids, looked up in the index, which says where photographs lie",
    "run/cohort.py": "a fingerprint, compared",
    "run/ledger.py": "identities and digests, compared",
    "run/markers.py": "sizes by key, looked up in a listing; digests, compared",
    "run/npz_file.py": "arrays by fixed names",
    "run/verify.py": "words of a run's record, compared",
    "run/status.py": "counts and words, printed as `printable`",
    "storage/copies.py": "versions of objects, compared",
    "storage/place.py": "hands objects on to those listed here",
    "volume/archive.py": "members are written under running numbers",
    "volume/dicom_decode.py": "requests and answers of this program to itself",
    "volume/dicom_file.py": "numbers and a series' id; references to other files are not read",
    "volume/metadata.py": "shapes and codecs, compared",
    "volume/shards.py": "levels by number; the format names the files",
    "volume/tiff_pages.py": "pages of the one file; companions are not opened",
}
"""Modules by their path, and `guarded` or why no name of theirs becomes a path."""

DELETIONS = {"unlink", "rmtree", "rmdir", "remove", "removedirs", "delete_tree", "delete_made",
             "delete_volume", "delete_ledger", "delete_local"}  # fmt: skip
DELETERS = {
    "data/pull.py: _have": "its own `.part`",
    "doctor.py: _output": "its own probe, named at random",
    "download.py: _append": "its own `.part`",
    "download.py: download": "its own `.part`",
    "export/write.py: export": "an export that holds nothing else; its own part",
    "fetch.py: _have": "its own `.part` and the mark beside it",
    "render/frames.py: __call__": "checksums of a set that `claim` found to be one",
    "render/picture_set.py: delete_stale_frames": "frames that bear the mark of this program",
    "retrieval/decode.py: decode_shared": "matrices by their fixed hidden name",
    "run/driver.py: _nothing_left_on_bad_input": "by pattern, what this driver began",
    "run/driver.py: colorize": "by pattern, below the ledger",
    "run/index.py: _build": "by pattern, below the hidden folder it built in",
    "run/index.py: _open_kept": "by pattern, the index kept beside a volume",
    "run/index_copies.py: _after_theirs": "its own new part, in a copy in the cache",
    "run/index_copies.py: _follow": "parts, in a copy in the cache",
    "run/index_copies.py: updating": "parts that this process deleted in its copy",
    "run/ledger.py: _clear": "by pattern, of a volume that bears this program's attributes",
    "run/ledger.py: begin": "its own plan, damaged",
    "run/ledger.py: delete_ledger": "by pattern",
    "run/ledger.py: forget": "markers, by pattern",
    "run/ledger.py: reopen": "its own record, by its fixed name",
    "run/pictures.py: _check_on_every_node": "its own probe, named at random",
    "run/preflight.py: __call__": "its own probe, named at random",
    "run/prepare.py: _delete_stale": "by name and digest, what it wrote",
    "run/report.py: write_failures": "its own list, by its fixed name",
    "storage/copies.py: forget_versions": "its own marks beside copies",
    "storage/copies.py: local_copy": "copies below a digest, in a staging folder or the cache",
    "storage/deletion.py: delete_made": "by pattern",
    "storage/deletion.py: delete_tree": "see who calls it",
    "storage/durable.py: create_file": "its own part, named at random",
    "storage/durable.py: delete_local": "see who calls it",
    "storage/durable.py: replacing": "its own part, named at random",
    "volume/store.py: delete_unfinished_files": "by how names of what is being written begin",
    "volume/store.py: delete_volume": "by pattern",
    "weights.py: pull_weights": "its own download",
}
"""Functions that delete, and how they know that it is this program's."""


def trees():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def dotted(node: ast.expr) -> str:
    """Return `a.b` of a name or attribute; of `f(x).b` its end."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> set[str]:
    """Return what is called or inherited from, whole and by its last part."""
    found = {dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found |= {dotted(base) for base in node.bases}
    return found | {name.rpartition(".")[2] for name in found if "." in name}


def test_who_parses_what_may_hold_names_is_listed():
    assert {path for path, tree in trees() if calls(tree) & PARSERS} == READERS.keys()


@pytest.mark.parametrize("path", [path for path, why in READERS.items() if why == "guarded"])
def test_who_makes_paths_of_such_names_asks_the_function(path):
    assert calls(ast.parse((PACKAGE / path).read_text())) & GUARDS


def test_who_deletes_is_listed():
    found = set()
    for path, tree in trees():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            own = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(dotted(one.func).rpartition(".")[2] in DELETIONS for one in own):
                found.add(f"{path}: {function.name}")
    assert found == DELETERS.keys()


def test_the_walk_sees_what_it_is_for():
    source = "import json\nclass A(HTMLParser):\n def f(self): Path('a').unlink(); json.loads('')"
    assert {"HTMLParser", "unlink", "json.loads"} <= calls(ast.parse(source))
