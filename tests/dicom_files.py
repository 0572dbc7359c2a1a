"""Made-up DICOM files, with a person's name wherever a name can stand."""

from __future__ import annotations

from pathlib import Path

import gdcm
import numpy as np
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from medcolor.domain import GrayVolume
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

PERSON = "Doe^Jane"
SHAPE = (3, 16, 12)
"""Of random words."""


def dicom_file(path: Path, storage: str = CTImageStorage) -> FileDataset:
    """Return a file to fill."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.Modality, data.SeriesInstanceUID = PERSON, "CT", "1.2.3"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    return data


def write_dicom(path: Path, z_mm: float, pixels: np.ndarray, **changes: object) -> None:
    """Write one CT slice."""
    data = dicom_file(path)
    data.Rows, data.Columns = pixels.shape
    data.PixelSpacing, data.ImageOrientationPatient = [0.7, 0.9], [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [-20, -30, z_mm]
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    for key, value in changes.items():
        setattr(data, key, value)
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)


def write_words(path: Path, z_mm: float, words: np.ndarray, **fields: object) -> None:
    """Write one slice of exactly these words; their type says bits and sign, None is no field."""
    storage = fields.pop("storage", CTImageStorage)
    data = dicom_file(path, storage)
    data.Rows, data.Columns = words.shape
    data.PixelSpacing, data.ImageOrientationPatient = [0.7, 0.9], [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [-20, -30, z_mm]
    bits = 8 * words.dtype.itemsize
    if words.dtype.kind == "f":
        del data.BitsStored, data.HighBit, data.PixelRepresentation
        data.BitsAllocated = bits
        setattr(data, {32: "FloatPixelData", 64: "DoubleFloatPixelData"}[bits], words.tobytes())
    else:
        data.BitsAllocated, data.BitsStored = bits, fields.get("BitsStored", bits)
        data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(words.dtype.kind == "i")
        data.PixelData = words.tobytes()
        data["PixelData"].VR = "OW"
    for key, value in fields.items():
        setattr(data, key, value)
    data.save_as(path, enforce_file_format=True)


def encode(path: Path, syntax: str) -> None:
    """Write a file again in another transfer syntax, named as GDCM does."""
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def write_multiframe(
    path: Path,
    z_mm: list[float],
    pixels: np.ndarray,
    rescales: list[tuple[float, float]] | None = None,
) -> None:
    """Write an enhanced CT: all frames in one file, each with its place and perhaps its rescale."""
    data = dicom_file(path, EnhancedCTImageStorage)
    data.NumberOfFrames, data.Rows, data.Columns = pixels.shape
    shared, measures, orientation, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [0.7, 0.9]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, -1000
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for number, z in enumerate(z_mm):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-20, -30, z]
        frame.PlanePositionSequence = Sequence([place])
        if rescales:
            own = Dataset()
            own.RescaleSlope, own.RescaleIntercept = rescales[number]
            frame.PixelValueTransformationSequence = Sequence([own])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)


def random_words(dtype: str, bits: int | None = None, seed: int = 3) -> np.ndarray:
    """Three slices of words over all that so many bits can hold, both ends among them."""
    kind = np.dtype(dtype)
    bits = bits or 8 * kind.itemsize
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.kind == "i" else (0, (1 << bits) - 1)
    )
    made = np.random.default_rng(seed).integers(low, high, SHAPE, endpoint=True)
    made[:, 0, :2] = low, high
    return made.astype(kind)


def write_series(
    folder: Path, stack: np.ndarray, each: dict | None = None, **fields: object
) -> None:
    """Write slices of the same fields, and of `each` its own of a list."""
    for z, plane in enumerate(stack):
        own = {key: value[z] for key, value in (each or {}).items()}
        write_words(folder / f"{z}.dcm", 2.0 * z, plane, **fields, **own)


def values_of(volume: GrayVolume, settings: VolumeSettings | None = None) -> np.ndarray:
    """Read all slices."""
    settings = settings or VolumeSettings()
    return np.stack([read_slice(volume, z, settings) for z in range(volume.geometry.shape[0])])


def opened(folder: Path) -> GrayVolume:
    """Open a series, one chunk a slice."""
    volume = open_volume(folder, VolumeSettings(), folder.parent / "staging")
    assert volume.intensity.chunks[0] == (1,) * volume.geometry.shape[0]
    return volume


def by_simpleitk(folder: Path) -> np.ndarray:
    """Read file by file: SimpleITK gives a series the type of its first slice."""
    images = [sitk.ReadImage(str(path)) for path in sorted(folder.iterdir())]
    return np.concatenate([sitk.GetArrayFromImage(image) for image in images]).astype(np.float32)
