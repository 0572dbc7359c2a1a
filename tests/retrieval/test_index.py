from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from medcolor.errors import InputError
from medcolor.reference import ReferenceRecord
from medcolor.retrieval.index import ReferenceIndex, is_index, read_index, write_index

DIGESTS = {"network_digest": "net", "preparation_digest": "prep"}


@pytest.fixture
def index():
    records = (
        ReferenceRecord("a.png", Path("/photos/a.png"), 10.0),
        ReferenceRecord("b.png", Path("/photos/b.png"), 15.0),
    )
    descriptors = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    return ReferenceIndex(records, descriptors, "net", "prep", "lib")


def test_an_index_is_read_as_it_was_written(index, tmp_path):
    write_index(index, [b"1", b"2"], tmp_path / "index")
    found = read_index(tmp_path / "index", **DIGESTS)
    assert found.records == index.records
    np.testing.assert_array_equal(found.descriptors, index.descriptors)
    np.testing.assert_array_equal(found.positions_mm, [10, 15])
    assert found.library_digest == "lib"


def test_descriptors_are_a_fixed_size_list_and_thumbnails_travel_along(index, tmp_path):
    write_index(index, [b"1", b"2"], tmp_path / "index")
    table = pq.read_table(tmp_path / "index" / "part-00000.parquet")
    assert table.schema.field("descriptor").type.list_size == 5
    assert table["thumbnail"].to_pylist() == [b"1", b"2"]


def test_an_index_of_another_network_is_refused(index, tmp_path):
    write_index(index, [b"1", b"2"], tmp_path / "index")
    with pytest.raises(InputError, match="built with network net"):
        read_index(tmp_path / "index", network_digest="other", preparation_digest="prep")


def test_a_full_folder_is_not_overwritten(index, tmp_path):
    (tmp_path / "precious").write_text("data")
    with pytest.raises(InputError, match="not empty"):
        write_index(index, [b"1", b"2"], tmp_path)


def test_a_damaged_index_is_named(tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"nonsense")
    assert is_index(tmp_path)
    with pytest.raises(InputError, match="no readable reference index"):
        read_index(tmp_path, **DIGESTS)


def test_one_unknown_position_makes_all_unknown(index):
    records = (index.records[0], ReferenceRecord("b.png", Path("b.png"), None))
    assert ReferenceIndex(records, index.descriptors, "n", "p", "l").positions_mm is None
