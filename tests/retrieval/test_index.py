import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval import index as index_module
from medcolor.retrieval.index import is_index, read_index, remove_rows
from medcolor.retrieval.parts import (
    DescribedReference,
    Origin,
    next_number,
    part_path,
    read_thumbnails,
    write_part,
)

ORIGIN = Origin("net", "prep")


def described(number, position_mm=None, size=5):
    """Photograph 7.png and what a network of `size` numbers saw in it."""
    record = ReferenceRecord(f"{number}.png", Path(f"/photos/{number}.png"), position_mm)
    vector = np.random.default_rng(number).normal(size=size).astype(np.float32)
    preparation = {"shape": [4, 5]}
    return DescribedReference(record, f"digest{number}", vector, b"%d" % number, preparation)


def empty(number):
    return replace(described(number), descriptor=np.zeros(5, np.float32))


@pytest.fixture
def folder(tmp_path):
    """Two parts, with positions that run across them."""
    folder = tmp_path / "index"
    write_part(part_path(folder, 0), [described(n, float(n)) for n in (1, 3, 5)], ORIGIN)
    write_part(part_path(folder, 1), [described(n, float(n)) for n in (2, 4)], ORIGIN)
    return folder


def ids(index):
    return [record.reference_id for record in index.records]


def test_an_index_is_read_as_it_was_written(folder):
    found = read_index(folder, ORIGIN)
    expected = [described(n, float(n)) for n in (1, 2, 3, 4, 5)]
    assert found.records == tuple(one.record for one in expected)
    assert found.digests == tuple(one.digest for one in expected)
    np.testing.assert_array_equal(found.descriptors, [one.descriptor for one in expected])
    np.testing.assert_array_equal(found.positions_mm, [1, 2, 3, 4, 5])
    assert not found.descriptors.flags.writeable


def test_rows_carry_thumbnail_and_preparation_and_descriptors_of_one_size(folder):
    table = pq.read_table(part_path(folder, 0))
    assert table.schema.field("descriptor").type.list_size == 5
    assert table["preparation"].to_pylist() == ['{"shape": [4, 5]}'] * 3
    index = read_index(folder)
    assert read_thumbnails(index.parts, ["2.png", "5.png"]) == {"2.png": b"2", "5.png": b"5"}


@pytest.mark.parametrize("key", ["network", "preparation"])
def test_an_index_made_otherwise_is_refused(folder, key):
    with pytest.raises(InputError, match=f"part-00000.parquet: built with {key} .*expected other"):
        read_index(folder, replace(ORIGIN, **{key: "other"}))


def test_a_part_that_disagrees_is_named(folder):
    write_part(part_path(folder, 2), [described(6)], Origin("another", "prep"))
    with pytest.raises(InputError, match=r"part-00002.parquet: built with network another"):
        read_index(folder)


def test_a_part_of_other_descriptors_is_named(folder):
    write_part(part_path(folder, 2), [described(6, size=7)], ORIGIN)
    with pytest.raises(InputError, match=r"part-00002.parquet: descriptors of 7 numbers"):
        read_index(folder)


def test_a_photograph_that_is_there_twice_is_named(folder):
    write_part(part_path(folder, 2), [described(4)], ORIGIN)
    with pytest.raises(InputError, match=r"holds 2 references 4.png"):
        read_index(folder)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-30])


def nonsense(path):
    path.write_bytes(b"nonsense")


def foreign(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)


def other_columns(path):
    pq.write_table(pq.read_table(path).drop_columns(["thumbnail"]), path)


@pytest.mark.parametrize("damage", [cut_short, nonsense, foreign, other_columns])
def test_a_damaged_or_foreign_part_is_named(folder, damage):
    damage(part_path(folder, 1))
    assert is_index(folder)
    with pytest.raises(InputError, match=r"part-00001.parquet: no readable part"):
        read_index(folder)


def test_a_flipped_byte_among_the_descriptors_is_found(folder):
    path = part_path(folder, 1)
    content = bytearray(path.read_bytes())
    content[content.index(described(4).descriptor.tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"part-00001.parquet: no readable part.*checksum"):
        _ = read_index(folder).descriptors


def test_numbers_of_deleted_parts_are_not_given_again_before_the_last(folder):
    write_part(part_path(folder, 7), [described(7)], ORIGIN)
    assert next_number(folder) == 8
    part_path(folder, 0).rename(folder / "part-mine.parquet")
    assert next_number(folder) == 8
    assert len(read_index(folder).records) == 6


def test_a_folder_without_parts_is_no_index(tmp_path):
    assert not is_index(tmp_path)
    with pytest.raises(InputError, match="no reference index"):
        read_index(tmp_path)


def test_order_and_digest_do_not_depend_on_how_the_rows_came_together(folder, tmp_path):
    other = tmp_path / "other"
    write_part(part_path(other, 0), [described(n, float(n)) for n in (2, 4, 5)], ORIGIN)
    write_part(part_path(other, 1), [described(n, float(n)) for n in (3, 1)], ORIGIN)
    one, two = read_index(folder), read_index(other)
    assert one.records == two.records
    np.testing.assert_array_equal(one.descriptors, two.descriptors)
    assert one.library_digest == two.library_digest


def test_the_library_digest_knows_contents_positions_and_empty_photographs(tmp_path):
    def digest(*references):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        write_part(part_path(folder, 0), references, ORIGIN)
        return read_index(folder).library_digest

    plain = digest(described(1, 1.0), described(2, 2.0))
    changed = replace(described(2, 2.0), digest="x")
    assert plain == digest(described(2, 2.0), described(1, 1.0))
    assert plain != digest(described(1, 1.0), changed)
    assert plain != digest(described(1, 1.0), described(2, 3.0))
    assert plain != digest(described(1, 1.0), described(2, 2.0), empty(3))


def test_empty_photographs_get_no_row_but_are_remembered(tmp_path):
    write_part(part_path(tmp_path, 0), [empty(1), empty(2)], ORIGIN)
    write_part(part_path(tmp_path, 1), [described(3), empty(4)], ORIGIN)
    found = read_index(tmp_path)
    assert ids(found) == ["3.png"]
    assert [frame.reference_id for frame in found.empty] == ["1.png", "2.png", "4.png"]
    np.testing.assert_array_equal(found.descriptors, described(3).descriptor[None])


def test_one_unknown_position_makes_all_unknown_and_the_order_that_of_names(folder):
    write_part(part_path(folder, 2), [described(10)], ORIGIN)
    found = read_index(folder)
    assert found.positions_mm is None
    assert ids(found) == [f"{n}.png" for n in (1, 2, 3, 4, 5, 10)]


def test_removing_rewrites_only_the_part_that_holds_the_row(folder):
    untouched = part_path(folder, 0).read_bytes()
    left = remove_rows(read_index(folder), ["4.png"])
    assert ids(left) == ["1.png", "2.png", "3.png", "5.png"]
    np.testing.assert_array_equal(left.descriptors[1], described(2).descriptor)
    assert part_path(folder, 0).read_bytes() == untouched
    assert left.origin == ORIGIN


def test_a_part_without_rows_stays_and_its_number_is_not_given_again(folder):
    left = remove_rows(read_index(folder), ["2.png", "4.png"])
    assert next_number(folder) == 2
    assert ids(left) == ["1.png", "3.png", "5.png"]


def test_an_unknown_id_is_refused_with_near_names_and_nothing_is_removed(folder):
    with pytest.raises(InputError, match=r"no reference 4.pgn. Near names: 4.png"):
        remove_rows(read_index(folder), ["1.png", "4.pgn"])
    assert len(read_index(folder).records) == 5


def test_an_index_may_not_become_empty(folder):
    index = read_index(folder)
    with pytest.raises(InputError, match="no reference would be left"):
        remove_rows(index, ids(index))
    assert len(read_index(folder).records) == 5


@pytest.fixture
def always_shared(monkeypatch):
    monkeypatch.setattr(index_module, "SHARED_FROM_BYTES", 0)


@pytest.mark.usefixtures("always_shared")
def test_large_matrices_are_mapped_from_a_file_that_follows_the_contents(folder, monkeypatch):
    expected = [described(n).descriptor for n in (1, 2, 3, 4, 5)]
    np.testing.assert_array_equal(read_index(folder).descriptors, expected)
    (kept,) = folder.glob(".descriptors-*.npy")

    monkeypatch.setattr("medcolor.retrieval.decode.decode", None)  # not needed again
    again = read_index(folder).descriptors
    np.testing.assert_array_equal(again, expected)
    assert not again.flags.writeable
    monkeypatch.undo()

    monkeypatch.setattr(index_module, "SHARED_FROM_BYTES", 0)
    left = remove_rows(read_index(folder), ["4.png"])
    np.testing.assert_array_equal(left.descriptors, np.delete(expected, 3, axis=0))
    assert not kept.exists()
    assert len(list(folder.glob(".descriptors-*"))) == 1


@pytest.mark.usefixtures("always_shared")
def test_a_damaged_file_of_descriptors_is_named(folder):
    _ = read_index(folder).descriptors
    (kept,) = folder.glob(".descriptors-*.npy")
    kept.write_bytes(kept.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"descriptors-.*damaged.*Delete this file"):
        _ = read_index(folder).descriptors


@pytest.mark.usefixtures("always_shared")
def test_where_no_file_can_be_written_each_process_decodes_and_says_so(folder, monkeypatch, caplog):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("medcolor.retrieval.decode._write_decoded", full)
    found = read_index(folder).descriptors
    np.testing.assert_array_equal(found[3], described(4).descriptor)
    assert "No space left on device" in caplog.text


def sum_of_descriptors(folder):
    index_module.SHARED_FROM_BYTES = 0
    return float(read_index(folder).descriptors.sum())


def test_processes_may_decode_at_the_same_time(folder):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sums = pool.map(sum_of_descriptors, [folder] * 6, chunksize=1)
    assert sums == [sums[0]] * 6
    assert len(list(folder.glob(".descriptors-*"))) == 1
