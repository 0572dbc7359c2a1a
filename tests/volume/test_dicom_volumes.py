"""Several volumes in one DICOM series: told apart by what makes a volume, and chosen by its number.

Every remedy that an error prints is tried.
"""

import logging
import re

import numpy as np
import pytest
from dicom_files import PERSON, dicom_file, values_of, write_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from medcolor.errors import InputError
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()
DEPTH = 6
ACROSS = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "ImagePositionPatient": [-400, 0, 0]}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


def made(count, depth=DEPTH, seed=1):
    """Stored words of volumes; what is read of them is less by 1024."""
    return np.random.default_rng(seed).integers(0, 2000, (count, depth, 16, 12))


def write(folder, volumes, fields, **common):
    """Write the slices of volumes in an order that says nothing; `fields(number, z)` are theirs."""
    slices = [(number, z) for number in range(len(volumes)) for z in range(len(volumes[0]))]
    for name, at in enumerate(np.random.default_rng(2).permutation(len(slices))):
        number, z = slices[at]
        write_dicom(
            folder / f"{name}.dcm", 2.0 * z, volumes[number][z], **common, **fields(number, z)
        )


def by_remedy(error, **given):
    """Return the settings that an error tells to give, beside those given."""
    found = re.findall(r"--set volume\.(\w+)=(\S+?)\.?(?= |$)", str(error))
    assert found
    return VolumeSettings(**(given | {key: int(value) for key, value in found}))


def refused(folder, tmp_path, settings=DEFAULT):
    with pytest.raises(InputError) as caught:
        open_volume(folder, settings, tmp_path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_is(folder, tmp_path, settings, words):
    found = values_of(open_volume(folder, settings, tmp_path))
    np.testing.assert_array_equal(found, words.astype(float) - 1024)


def assert_each_is(folder, tmp_path, setting, volumes):
    for number, words in enumerate(volumes):
        assert_is(folder, tmp_path, VolumeSettings(**{setting: number}), words)


CHANNELS = {
    "echo 2, echo time 90 ms": lambda n, _: {"EchoNumbers": n + 1, "EchoTime": 20 + 70 * n},
    "phase": lambda n, _: {"ImageType": ["ORIGINAL", "PRIMARY", "MP"[n], "ND"]},
    "real": lambda n, _: {"ComplexImageComponent": ["MAGNITUDE", "REAL"][n]},
    "b-value 1000 s/mm2": lambda n, _: {"DiffusionBValue": 1000.0 * n},
    r"gradient \(1, 0, 0\)": lambda n, _: {"DiffusionGradientOrientation": [n, 1.0 - n, 0.0]},
    "inversion time 900 ms": lambda n, _: {"InversionTime": 100 + 800 * n},
    "flip angle 15 degrees": lambda n, _: {"FlipAngle": 5 + 10 * n},
    "tube voltage 140 kV": lambda n, _: {"KVP": 80 + 60 * n},
    # Of one echo each slice was taken at a time of its own.
    "echo 2, inv": lambda n, z: {"EchoNumbers": n + 1, "InversionTime": 9 + n, "TriggerTime": z},
}


@pytest.mark.parametrize("told", CHANNELS)
def test_what_was_measured_makes_channels(folder, tmp_path, told):
    volumes = made(2)
    write(folder, volumes, CHANNELS[told])
    error = refused(folder, tmp_path)
    assert re.search(rf"2 channels \(0: .*; 1: .*{told}.*--set volume\.channel=0", error)
    assert_is(folder, tmp_path, by_remedy(error), volumes[0])
    assert_each_is(folder, tmp_path, "channel", volumes)
    error = refused(folder, tmp_path, VolumeSettings(channel=2))
    assert "not the chosen one" in error
    assert_is(folder, tmp_path, by_remedy(error, channel=2), volumes[0])


TIMES = {
    "temporal position 1 .. temporal position 3": lambda n, _: {
        "TemporalPositionIdentifier": n + 1
    },
    r"acquisition 1 .. acquisition 3\)": lambda n, _: {"AcquisitionNumber": n + 1},
    "phase of the heartbeat 0 % ..": lambda n, _: {"NominalPercentageOfCardiacPhase": 10.0 * n},
    "frame time 0 ms": lambda n, _: {"FrameReferenceTime": 1e3 * n},
    # Slice after slice, and of each all times: none has the times of another.
    "in order of trigger time": lambda n, z: {"TriggerTime": 300 * n + 7.5 * z},
    "in order of image number": lambda n, z: {"InstanceNumber": 3 * z + n},
    "in order of acquisition": lambda n, z: {"AcquisitionNumber": 3 * z + n, "InstanceNumber": 1},
}


@pytest.mark.parametrize("told", TIMES)
def test_when_it_was_measured_makes_time_points(folder, tmp_path, told):
    volumes = made(3)
    write(folder, volumes, TIMES[told])
    error = refused(folder, tmp_path)
    assert re.search(rf"3 time points \(.*time points 0 to 2.*{told}.*volume\.time_point=0", error)
    assert_is(folder, tmp_path, by_remedy(error), volumes[0])
    assert_each_is(folder, tmp_path, "time_point", volumes)


def test_of_unequal_channels_each_has_its_own_times(folder, tmp_path):
    """Diffusion: one volume without, two repetitions of two directions with a gradient."""
    volumes = made(5)

    def fields(number, z):
        if number == 0:
            return {"DiffusionBValue": 0.0, "AcquisitionNumber": 1, "InstanceNumber": z}
        side = (number - 1) % 2
        return {
            "DiffusionBValue": 800.0,
            "DiffusionGradientOrientation": [float(side), 1.0 - side, 0.0],
            "AcquisitionNumber": 1 + (number - 1) // 2,
            "InstanceNumber": 100 * number + z,
        }

    write(folder, volumes, fields, Modality="MR")
    error = refused(folder, tmp_path)
    assert "3 channels" in error
    assert_is(folder, tmp_path, by_remedy(error), volumes[0])
    error = refused(folder, tmp_path, VolumeSettings(channel=1))
    assert "2 time points" in error
    assert_is(folder, tmp_path, by_remedy(error, channel=1), volumes[1])
    assert_is(folder, tmp_path, VolumeSettings(channel=1, time_point=1), volumes[3])
    assert_is(folder, tmp_path, VolumeSettings(channel=2, time_point=1), volumes[4])


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
)
def test_the_remedy_of_any_mixture_leaves_one_volume(folder, tmp_path, seed):
    random = np.random.default_rng(seed)
    expected = {}
    for series in range(1, random.integers(1, 4) + 1):
        place = tmp_path / "series" / f"{series}"
        place.mkdir()
        channels, times = random.integers(1, 4, 2)
        volumes = made(channels * times, depth=3, seed=series)
        write(
            place,
            volumes,
            lambda n, _, t=times: {"EchoNumbers": n // t + 1, "TemporalPositionIdentifier": n % t},
            SeriesInstanceUID=f"1.{series}",
        )
        for number, words in enumerate(volumes):
            expected[series, number // times, number % times] = words
    for key, words in expected.items():
        chosen = dict(zip(("series", "channel", "time_point"), map(int, key), strict=True))
        assert_is(folder, tmp_path, VolumeSettings(**chosen), words)
        assert_is(folder, tmp_path, VolumeSettings(**chosen | {"series": f"1.{key[0]}"}), words)
    for given in ({}, {"series": 1}, {"series": "1.1"}, {"channel": 9}, {"series": 1, "channel": 9},
                  {"channel": 0}, {"time_point": 0}, {"series": "9.9"}):  # fmt: skip
        try:
            open_volume(folder, VolumeSettings(**given), tmp_path)
        except InputError as error:
            found = values_of(open_volume(folder, by_remedy(error, **given), tmp_path))
            assert any(np.array_equal(found, words - 1024.0) for words in expected.values())


ONE_VOLUME = {
    "acquisitions while the table moves": lambda _, z: {"AcquisitionNumber": z // 2},
    "slices one after the other": lambda _, z: {"TriggerTime": 40 * z, "InstanceNumber": z},
    "odd slices first": lambda _, z: {"AcquisitionNumber": z % 2, "TemporalPositionIdentifier": 1},
    "some derived": lambda _, z: {"ImageType": ["DERIVED" if z in (2, 3) else "ORIGINAL", "X"]},
    "a time that drifts": lambda _, z: {"EchoTime": 20 + 0.01 * z, "FlipAngle": 10 + z},
}


@pytest.mark.parametrize("what", ONE_VOLUME)
def test_fields_that_vary_within_a_volume_do_not_part_it(folder, tmp_path, what):
    volumes = made(1)
    write(folder, volumes, ONE_VOLUME[what])
    assert_is(folder, tmp_path, DEFAULT, volumes[0])


@pytest.mark.parametrize("offset_mm", [0.3, 1.0])
def test_channels_whose_slices_interleave_are_told_apart(folder, tmp_path, offset_mm):
    """Halfway between each other they would make one even stack of two kinds of tissue values."""
    volumes = made(2)
    for number, z in np.ndindex(2, DEPTH):
        place = 2.0 * z + offset_mm * number
        write_dicom(folder / f"{number}-{z}", place, volumes[number, z], EchoNumbers=number + 1)
    error = refused(folder, tmp_path)
    assert "2 channels" in error
    assert_is(folder, tmp_path, VolumeSettings(channel=1), volumes[1])


@pytest.mark.parametrize("fields", [{}, {"AcquisitionNumber": 2, "InstanceNumber": 99}])
def test_a_slice_that_is_there_twice_is_refused_whatever_its_numbers(folder, tmp_path, fields):
    volumes = made(1)
    write(folder, volumes, lambda _, z: {"AcquisitionNumber": 1, "InstanceNumber": z})
    write_dicom(folder / "twice", 4.0, volumes[0, 2], **fields)
    error = refused(folder, tmp_path)
    assert "two slices at one position" in error
    resampled = VolumeSettings(uneven="resample")  # as the error says
    assert "volume.uneven=resample" in error
    assert_is(folder, tmp_path, resampled, volumes[0])
    write_dicom(folder / "twice", 4.0, volumes[0, 3], **fields)
    assert "two different slices at one position" in refused(folder, tmp_path)
    assert "--set" not in refused(folder, tmp_path)


def test_overlapping_ends_of_two_acquisitions_are_no_time_points(folder, tmp_path):
    volumes = made(1)
    write(folder, volumes, lambda _, z: {"AcquisitionNumber": 1 + (z > 2)})
    write_dicom(folder / "overlap", 6.0, volumes[0, 0], AcquisitionNumber=1)
    assert "two different slices at one position" in refused(folder, tmp_path)


@pytest.mark.parametrize("series", ["1.2.3", "1.2.4"], ids=["same series", "series of its own"])
@pytest.mark.parametrize("count", [1, 3])
def test_localizers_are_left_out_and_told(folder, tmp_path, caplog, series, count):
    volumes = made(1)
    write(folder, volumes, lambda *_: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]})
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesInstanceUID": series}
    for number in range(count):
        write_dicom(folder / f"scout{number}", number, np.full((20, 30), 7), **scout, **ACROSS)
    with caplog.at_level(logging.WARNING):
        volume = open_volume(folder, DEFAULT, tmp_path)
    np.testing.assert_array_equal(values_of(volume), volumes[0].astype(float) - 1024)
    told = f"{count} localizers left out"
    assert told in caplog.text
    assert told in volume.geometry.steps


def test_localizers_alone_are_a_volume(folder, tmp_path):
    volumes = made(1)
    write(folder, volumes, lambda *_: {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    assert_is(folder, tmp_path, DEFAULT, volumes[0])


def test_a_localizer_series_is_read_where_it_is_chosen(folder, tmp_path):
    volumes = made(2)
    write(folder, volumes, lambda n, _: {
        "SeriesInstanceUID": f"1.{n}",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL" if n else "LOCALIZER"],
    })  # fmt: skip
    assert_is(folder, tmp_path, DEFAULT, volumes[1])
    for chosen in (1, "1.0"):
        assert_is(folder, tmp_path, VolumeSettings(series=chosen), volumes[0])


def test_stacks_of_several_directions_are_listed_and_chosen(folder, tmp_path):
    volumes = made(2)
    directions = [[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]]
    for number, z in np.ndindex(2, DEPTH):
        place = [0, 0, 2.0 * z] if number == 0 else [0, 2.0 * z, 0]
        write_dicom(
            folder / f"{number}-{z}",
            0,
            volumes[number, z],
            ImageOrientationPatient=directions[number],
            ImagePositionPatient=place,
        )
    error = refused(folder, tmp_path)
    assert "2 stacks of 1 series" in error
    assert_is(folder, tmp_path, by_remedy(error), volumes[0])
    coronal = open_volume(folder, VolumeSettings(series=2), tmp_path)
    assert coronal.geometry.spacing_mm == pytest.approx((0.7, 2.0, 0.9))


def enhanced(path, volumes, macro):
    """Write all volumes as frames of one file; `macro(number)` gives a frame's groups."""
    data = dicom_file(path, EnhancedCTImageStorage)
    data.NumberOfFrames, (data.Rows, data.Columns) = volumes[..., 0, 0].size, volumes.shape[2:]
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = [0.7, 0.9], [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for z in range(volumes.shape[1]):
        for number in range(len(volumes)):
            place = Dataset()
            place.ImagePositionPatient = [-20, -30, 2.0 * z]
            frame = macro(number)
            frame.PlanePositionSequence = Sequence([place])
            frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.PixelData = volumes.swapaxes(0, 1).astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)


def groups(sequence, **fields):
    frame, item = Dataset(), Dataset()
    for key, value in fields.items():
        setattr(item, key, value)
    setattr(frame, sequence, Sequence([item]))
    return frame


def gradient(number):
    inner = groups(
        "DiffusionGradientDirectionSequence", DiffusionGradientOrientation=[0.0, number, 1.0]
    )
    frame = Dataset()
    frame.MRDiffusionSequence = Sequence([inner])
    return frame


MACROS = {
    "channel": [
        lambda n: groups("MREchoSequence", EffectiveEchoTime=10.0 * n + 1),
        lambda n: groups("MRDiffusionSequence", DiffusionBValue=500.0 * n),
        lambda n: groups(
            "MRImageFrameTypeSequence", ComplexImageComponent=["MAGNITUDE", "PHASE"][n]
        ),
        gradient,
    ],
    "time_point": [
        lambda n: groups("FrameContentSequence", TemporalPositionIndex=n + 1),
        lambda n: groups("FrameContentSequence", FrameAcquisitionNumber=n + 1),
        lambda n: groups("CardiacSynchronizationSequence", NominalCardiacTriggerDelayTime=9.0 * n),
        lambda _: Dataset(),  # in the order of the frames
    ],
}


@pytest.mark.parametrize("key", MACROS)
@pytest.mark.parametrize("which", range(4))
def test_volumes_of_an_enhanced_file_are_told_apart(tmp_path, key, which):
    volumes = made(2)
    enhanced(tmp_path / "one.dcm", volumes, MACROS[key][which])
    error = refused(tmp_path / "one.dcm", tmp_path)
    assert f"--set volume.{key}=0" in error
    for number, words in enumerate(volumes):
        found = values_of(
            open_volume(tmp_path / "one.dcm", VolumeSettings(**{key: number}), tmp_path)
        )
        np.testing.assert_array_equal(found, words)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_name_in_the_kind_of_image_is_not_told(folder, tmp_path):
    write(folder, made(2), lambda n, _: {"ImageType": ["ORIGINAL", "PRIMARY", f"{PERSON}{n}"]})
    error = refused(folder, tmp_path)
    assert "2 channels" in error
    assert "doe" not in error.lower()


def test_a_list_of_many_volumes_stays_readable(folder, tmp_path):
    volumes = made(60, depth=3)
    write(folder, volumes, lambda n, _: {"DiffusionGradientOrientation": [1.0, n, 0.0]})
    error = refused(folder, tmp_path)
    assert "60 channels" in error
    assert "and 40 more" in error
    assert_is(folder, tmp_path, VolumeSettings(channel=59), volumes[59])
