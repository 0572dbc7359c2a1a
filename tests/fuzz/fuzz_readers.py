"""Coverage-guided fuzzing (libFuzzer through Atheris) of the readers of binary files.

    make fuzz                       ten minutes over all of them
    python tests/fuzz/fuzz_readers.py nifti -max_total_time=60

A reader may give voxels or an InputError. Anything else, a crash, an exception of another kind, a
minute or two gigabytes, is a find; libFuzzer then leaves the input as `crash-*`. Each find that
was mended is kept as a case of `tests/test_bad_inputs.py`.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["medcolor.volume", "nrrd", "nibabel", "pydicom"]):
    import nibabel as nib
    import pydicom  # noqa: F401  (instrumented)

    from medcolor.errors import InputError
    from medcolor.volume.open import open_volume, read_slice
    from medcolor.volume.settings import VolumeSettings

sys.path.insert(0, str(Path(__file__).parents[1]))
SETTINGS = VolumeSettings(
    spacing_mm=(1.0, 1.0, 1.0), uneven="resample", time_point=0, nonfinite_value=0.0
)
VOXELS = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)


def _nifti() -> list[bytes]:
    first = nib.Nifti1Image(VOXELS, np.eye(4)).to_bytes()
    return [first, nib.Nifti2Image(VOXELS, np.eye(4)).to_bytes(), gzip.compress(first)]


def _mgh() -> list[bytes]:
    first = nib.MGHImage(VOXELS, np.eye(4)).to_bytes()
    return [first, gzip.compress(first)]


def _nrrd() -> list[bytes]:
    head = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 4 5 6\nendian: little\nspacings: 1 1 1\n"
    plain = f"{head}encoding: raw\n\n".encode() + VOXELS.tobytes()
    return [plain, f"{head}encoding: gzip\n\n".encode() + gzip.compress(VOXELS.tobytes())]


def _dicom() -> list[bytes]:
    from dicom_files import write_dicom, write_multiframe

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        write_dicom(path, 1.0, VOXELS[0])
        single = path.read_bytes()
        write_multiframe(path, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], VOXELS)
        return [single, path.read_bytes()]


def _genesis() -> list[bytes]:
    import ncompress
    from volume.test_visible_human import genesis_file

    plain = genesis_file(np.arange(64, dtype=np.int16).reshape(8, 8), 100.0)
    return [plain, ncompress.compress(plain)]


def _zip() -> list[bytes]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, one in enumerate(_dicom()[:1] * 2):
            archive.writestr(f"{number}.dcm", one)
    return [content.getvalue()]


def _tiff() -> list[bytes]:
    import tifffile

    several = np.stack([VOXELS, VOXELS])
    hows: list[tuple[np.ndarray, dict[str, object]]] = [
        (VOXELS, {}),
        (several, {"imagej": True, "metadata": {"axes": "TZYX", "unit": "um", "spacing": 2.0}}),
        (several, {"imagej": True, "truncate": True, "metadata": {"axes": "TZYX"}}),
        (several, {"ome": True, "metadata": {"axes": "TZYX"}}),
        (np.zeros((16, 16, 16), np.uint8), {"volumetric": True, "tile": (16, 16, 16)}),
    ]
    found = []
    for stack, how in hows:
        content = io.BytesIO()
        tifffile.imwrite(content, stack, photometric="minisblack", **how)
        found.append(content.getvalue())
    return found


KINDS = {
    "nifti": (_nifti, "scan"),
    "mgh": (_mgh, "scan"),
    "nrrd": (_nrrd, "scan"),
    "dicom": (_dicom, "scan"),
    "zip": (_zip, "scan"),
    "tiff": (_tiff, "scan"),
    "genesis": (_genesis, "c_vm1001.t1"),
}


def read_all(path: Path, staging: Path) -> None:
    """Read a scan, at most its first slices."""
    try:
        volume = open_volume(path, SETTINGS, staging)
        rows_and_cols = volume.geometry.shape[1:]
        if np.prod(rows_and_cols) < 1 << 20:
            for z in range(min(3, volume.geometry.shape[0])):
                read_slice(volume, z, SETTINGS)
    except InputError as error:
        if "\n" in str(error):
            raise ValueError("more than one line") from error


def fuzz(kind: str, arguments: list[str]) -> None:
    """Fuzz one reader; libFuzzer ends the process."""
    seeds, name = KINDS[kind]
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(seeds()):
            (corpus / str(number)).write_bytes(seed)

        def once(data: bytes) -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                path = Path(folder, name)
                path.write_bytes(data)
                # A Genesis slice is read as one of a folder.
                target = path.parent if kind == "genesis" else path
                read_all(target, Path(folder, ".staging"))

        options = ["-rss_limit_mb=4096", "-timeout=60", "-max_len=8192", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *options, *arguments, str(corpus)], once)
        atheris.Fuzz()


def main() -> None:
    """Fuzz one kind, or all for an equal share of the seconds given."""
    if sys.argv[1] in KINDS:
        fuzz(sys.argv[1], sys.argv[2:])
    share = int(sys.argv[1]) // len(KINDS)
    failed = []
    for kind in KINDS:
        command = [
            sys.executable,
            __file__,
            kind,
            f"-max_total_time={share}",
            "-print_final_stats=1",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        stats = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        print(
            f"{kind:8} {'ok' if done.returncode == 0 else 'FOUND'}  {' '.join(stats)}", flush=True
        )
        if done.returncode:
            failed.append(kind)
            print("\n".join(done.stderr.splitlines()[-40:]))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
