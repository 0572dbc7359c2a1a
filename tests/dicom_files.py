"""Made-up DICOM files, with a person's name wherever a name can stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

PERSON = "Doe^Jane"


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


def write_multiframe(path: Path, z_mm: list[float], pixels: np.ndarray) -> None:
    """Write an enhanced CT: all frames in one file, each with its place."""
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
    for z in z_mm:
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-20, -30, z]
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)
