"""A series full of identifying text, through the whole job: nothing of it is found anywhere."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pydicom
from conftest import draw_slice, make_photographs
from dicom_files import write_dicom

SECRETS = ("Jane", "Doe", "19610203", "4711-0815", "Sankt Hedwig")


def test_no_identifying_text_reaches_volume_record_logs_or_names(tmp_path):
    series = tmp_path / "Doe^Jane-19610203"
    series.mkdir()
    for z in range(6):
        pixels = np.round(2000 * draw_slice(z / 5)[0])
        write_dicom(
            series / f"Jane-4711-0815-{z}.dcm",
            3.0 * z,
            pixels,
            PatientID="4711-0815",
            PatientBirthDate="19610203",
            InstitutionName="Sankt Hedwig",
            SeriesDescription="Head of Jane Doe",
            BurnedInAnnotation="YES",
        )
    with_private = pydicom.dcmread(series / "Jane-4711-0815-0.dcm")
    with_private.private_block(0x0009, "Sankt Hedwig", create=True).add_new(1, "LO", "Jane")
    with_private.save_as(series / "Jane-4711-0815-0.dcm")
    photographs = make_photographs(tmp_path / "photographs")
    output = tmp_path / "out" / "scan.ome.zarr"
    command = [sys.executable, "-m", "medcolor", "colorize", series, photographs, output]
    quick = ["--set", "features.working_size_px=32", "--set", "compute.threads=1"]
    done = subprocess.run(
        [*map(str, command), *quick], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "text is painted into its pixels" in done.stderr
    pages = {"told": done.stdout.encode() + done.stderr.encode()}
    for path in output.parent.rglob("*"):
        pages[str(path.relative_to(tmp_path))] = path.read_bytes() if path.is_file() else b""
    assert len(pages) > 10
    for name, content in pages.items():
        for secret in SECRETS:
            assert secret.encode() not in content, name
            assert secret not in name
