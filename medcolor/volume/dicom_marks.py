"""What tells the volumes of one DICOM series apart: kind of image, echo, diffusion, time.

Scanners put several volumes into one series: magnitude and phase, the echoes of one excitation,
b-values, repetitions, phases of the heart. Each is told by a field of the slice or, in enhanced
files, of the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pydicom

Value = float | tuple[float, ...] | tuple[str, ...] | None

FRAME_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_IMAGE_TYPE = "image type"
CHANNEL_MARKS = {
    _IMAGE_TYPE: (
        ("MRImageFrameTypeSequence", "FrameType"),
        ("CTImageFrameTypeSequence", "FrameType"),
        ("ImageType",),
    ),
    "component": (
        ("MRImageFrameTypeSequence", "ComplexImageComponent"),
        ("ComplexImageComponent",),
    ),
    "echo": (("EchoNumbers",),),
    "echo time (ms)": (("MREchoSequence", "EffectiveEchoTime"), ("EchoTime",)),
    "b-value (s/mm2)": (("MRDiffusionSequence", "DiffusionBValue"), ("DiffusionBValue",)),
    "gradient": (
        (
            "MRDiffusionSequence",
            "DiffusionGradientDirectionSequence",
            "DiffusionGradientOrientation",
        ),
        ("DiffusionGradientOrientation",),
    ),
    "inversion time (ms)": (("InversionTime",),),
    "flip angle (degrees)": (("FlipAngle",),),
    "tube voltage (kV)": (("KVP",),),
}
"""What was measured, in words, and where it is said: a keyword below sequences, each tried in
turn. Volumes that differ in it are channels."""

TIME_MARKS = {
    "temporal position": (
        ("FrameContentSequence", "TemporalPositionIndex"),
        ("TemporalPositionIdentifier",),
    ),
    "phase of the heartbeat (%)": (
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
        ("NominalPercentageOfCardiacPhase",),
    ),
    "phase of the breath (%)": (
        ("RespiratorySynchronizationSequence", "NominalPercentageOfRespiratoryPhase"),
        ("NominalPercentageOfRespiratoryPhase",),
    ),
    "trigger time (ms)": (
        ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
        ("TriggerTime",),
    ),
    "frame time (ms)": (("FrameReferenceTime",),),
    "acquisition": (("FrameContentSequence", "FrameAcquisitionNumber"), ("AcquisitionNumber",)),
    "image number": (("InstanceNumber",),),
}
"""When it was measured. Volumes that differ in it alone are time points of one channel."""

MARK_TAGS = [
    *FRAME_GROUPS,
    *(
        keyword
        for marks in (CHANNEL_MARKS, TIME_MARKS)
        for paths in marks.values()
        for path in paths
        for keyword in path
    ),
]
"""All that is read for it."""

_WORDS = {
    "ORIGINAL": "original", "DERIVED": "derived",
    "M": "magnitude", "MAGNITUDE": "magnitude", "M_FFE": "magnitude",
    "P": "phase", "PHASE": "phase", "PHASE MAP": "phase",
    "R": "real", "REAL": "real", "I": "imaginary", "IMAGINARY": "imaginary",
    "W": "water", "WATER": "water", "F": "fat", "FAT": "fat",
    "IP": "in phase", "IN_PHASE": "in phase",
    "OP": "out of phase", "OPP_PHASE": "out of phase", "OUT_PHASE": "out of phase",
    "ADC": "ADC", "TRACEW": "trace", "DIFFUSION": "diffusion", "MIP": "projection",
    "PROJECTION IMAGE": "projection",
}  # fmt: skip
"""Kinds of images that may be told: other words in this field can be a person's."""


def find(data: pydicom.Dataset, frame: int | None, path: Sequence[str]) -> Any:
    """Return a field of a frame: from its own group, the shared one, or the file's top; or None.

    Args:
        data: The header.
        frame: Counted from 0; None for a file of one slice.
        path: Sequences of a functional group, and the keyword in the first item of the last.
            Of one keyword alone the file's top is asked.
    """
    *sequences, keyword = path
    if not sequences:
        return data[keyword].value if keyword in data else None
    if frame is None:
        return None
    for name, number in zip(FRAME_GROUPS, (frame, 0), strict=True):
        groups = data.get(name)
        item = groups[number] if groups else None
        for sequence in sequences:
            item = _first_item(item, sequence)
        if item is not None and keyword in item:
            return item[keyword].value
    return None


def _first_item(item: pydicom.Dataset | None, sequence: str) -> pydicom.Dataset | None:
    """Return the first item of a sequence."""
    items = None if item is None else item.get(sequence)
    return items[0] if items else None


def marks_of(data: pydicom.Dataset, frame: int | None) -> dict[str, Value]:
    """Return what a slice says of the volume that it belongs to; what it does not say is absent.

    A field that holds anything else than its kind of value counts as absent.
    """
    found: dict[str, Value] = {}
    for name, paths in (CHANNEL_MARKS | TIME_MARKS).items():
        values = (_value(data, frame, path) for path in paths)
        value = next((one for one in values if one is not None), None)
        if value is not None:
            found[name] = value
    if frame is not None:
        found["image number"] = float(frame)
    return found


def is_localizer(marks: dict[str, Value]) -> bool:
    """Tell a scout image, which shows where the others lie."""
    kinds = marks.get(_IMAGE_TYPE)
    return isinstance(kinds, tuple) and "LOCALIZER" in kinds


def _value(data: pydicom.Dataset, frame: int | None, path: tuple[str, ...]) -> Value:
    """Return a field as a number, several, or words in capitals."""
    try:
        found = find(data, frame, path)
        if found is None or found == "":
            return None
        several = [found] if isinstance(found, str | float | int) else [*found]
        if path[-1] in ("ImageType", "FrameType", "ComplexImageComponent"):
            return tuple(str(one).strip().upper() for one in several)
        numbers = tuple(round(float(one), 6) for one in several)
    except (TypeError, ValueError, IndexError, AttributeError, NotImplementedError):
        return None
    if not (numbers and all(map(math.isfinite, numbers))):
        return None
    return numbers[0] if len(numbers) == 1 else numbers


def in_words(name: str, value: Value, others: Sequence[Value]) -> str:
    """Return a mark that may be told, beside the values that other volumes have.

    Of a kind of image the words that are not common to all are told, and only known ones.
    """
    if value is None:
        return f"no {name.partition(' (')[0]}"
    if isinstance(value, float):
        what, _, unit = name.partition(" (")
        return " ".join(f"{what} {value:g} {unit.rstrip(')')}".split())
    words = [one for one in value if isinstance(one, str)]
    if not words:
        return f"{name} ({', '.join(f'{one:.3g}' for one in value)})"
    common = set(words).intersection(*(one for one in others if isinstance(one, tuple)))
    told = dict.fromkeys(_WORDS[one] for one in words if one in _WORDS and one not in common)
    return " ".join(told) or "another kind of image"
