"""Where bytes lie: a local path or a key in a bucket, behind one face.

A local place is a `pathlib.Path`; a place in a bucket is an `ObjectPath`, which has the few
methods of a path that this package uses. What differs is done by the functions here.
"""

from __future__ import annotations

from medcolor.storage.copies import copy_tree, local_copy
from medcolor.storage.deletion import delete_made, delete_tree
from medcolor.storage.names import path_below, plain_key, plain_name, refuse_links_out
from medcolor.storage.object_path import ObjectPath
from medcolor.storage.place import (
    Place,
    create_exclusive,
    json_bytes,
    list_sizes,
    place_of,
    read_object,
    size_of,
    write_atomic,
    write_json,
)

__all__ = [
    "ObjectPath",
    "Place",
    "copy_tree",
    "create_exclusive",
    "delete_made",
    "delete_tree",
    "json_bytes",
    "list_sizes",
    "local_copy",
    "path_below",
    "place_of",
    "plain_key",
    "plain_name",
    "read_object",
    "refuse_links_out",
    "size_of",
    "write_atomic",
    "write_json",
]
