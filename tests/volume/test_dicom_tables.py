"""Modality tables of DICOM: applied as pydicom does, or refused; SimpleITK knows none."""

import numpy as np
import pydicom
import pytest
from dicom_files import opened, random_words, values_of, write_series
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medcolor.errors import InputError

CURVE = np.round(4000 * np.linspace(0, 1, 1000) ** 2).astype(int)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


def with_table(entries, first, bits, *, by_bytes=False, count=None, order="<"):
    """Return a Modality LUT Sequence."""
    table = Dataset()
    table.add_new(
        "LUTDescriptor", "SS" if first < 0 else "US", [count or len(entries), first, bits]
    )
    table.ModalityLUTType = "US"
    data = np.asarray(entries).astype(f"{order}u2").tobytes() if by_bytes else [*map(int, entries)]
    table.add_new("LUTData", "OW" if by_bytes else "US", data)
    return Sequence([table])


@pytest.mark.parametrize("by_bytes", [False, True])
@pytest.mark.parametrize(("dtype", "first"), [("<u2", 0), ("<u2", 700), ("<i2", -300)])
def test_a_modality_table_is_applied_as_pydicom_does(folder, dtype, first, by_bytes):
    stack = random_words(dtype, 11)
    write_series(folder, stack, ModalityLUTSequence=with_table(CURVE, first, 16, by_bytes=by_bytes))
    data = pydicom.dcmread(folder / "0.dcm")
    np.testing.assert_array_equal(values_of(opened(folder))[0], apply_modality_lut(stack[0], data))
    np.testing.assert_array_equal(
        values_of(opened(folder)), CURVE[np.clip(stack.astype(int) - first, 0, 999)]
    )


@pytest.mark.parametrize("bits", [8, 12])
def test_a_table_of_fewer_bits_is_applied_and_turned_over_within_them(folder, bits):
    entries = CURVE * ((1 << bits) - 1) // 4000
    table = with_table(entries, 0, bits, by_bytes=True)
    stack = random_words("<u2", 11)
    write_series(folder, stack, ModalityLUTSequence=table, PhotometricInterpretation="MONOCHROME1")
    expected = (1 << bits) - 1 - entries[np.clip(stack, 0, 999)]
    np.testing.assert_array_equal(values_of(opened(folder)), expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_table_of_all_words_has_the_byte_order_of_its_file(folder, order):
    entries = np.random.default_rng(1).permutation(1 << 16)
    stack = random_words("<u2")
    table = with_table(entries, 0, 16, by_bytes=True, count=1 << 16, order=order)
    table[0].LUTDescriptor = [0, 0, 16]  # 65536 does not fit
    write_series(folder, stack.astype(f"{order}u2"), ModalityLUTSequence=table)
    if order == ">":
        for path in folder.iterdir():
            data = pydicom.dcmread(path)
            data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
            pydicom.dcmwrite(
                path, data, implicit_vr=False, little_endian=False, force_encoding=True
            )
    np.testing.assert_array_equal(values_of(opened(folder)), entries[stack])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"RescaleSlope": 2}, "both a modality table and a rescale"),
        ({"ModalityLUTSequence": with_table(CURVE, 0, 16, count=999)}, "table of 1000 entries"),
        ({"ModalityLUTSequence": with_table(CURVE, 0, 20)}, "entries of 20 bits"),
    ],
)
def test_a_modality_table_that_says_no_value_is_refused(folder, fields, problem):
    table = {"ModalityLUTSequence": with_table(CURVE, 0, 16)}
    write_series(folder, random_words("<u2", 10), **{**table, **fields})
    with pytest.raises(InputError, match=problem):
        values_of(opened(folder))


def test_a_table_beside_the_identity_is_applied(folder):
    table = with_table(CURVE, 0, 16)
    stack = random_words("<u2", 9)
    write_series(folder, stack, ModalityLUTSequence=table, RescaleSlope=1, RescaleIntercept=0)
    np.testing.assert_array_equal(values_of(opened(folder)), CURVE[stack])


def test_fields_of_implicit_type_have_the_sign_of_the_pixels(folder):
    stack = random_words("<i2", 11)
    table = with_table(CURVE, -300, 16)
    write_series(folder, stack, ModalityLUTSequence=table)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        pydicom.dcmwrite(path, data, implicit_vr=True, little_endian=True, force_encoding=True)
    np.testing.assert_array_equal(
        values_of(opened(folder)), CURVE[np.clip(stack.astype(int) + 300, 0, 999)]
    )
