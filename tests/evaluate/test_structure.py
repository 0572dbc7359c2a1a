import numpy as np
import pytest
from command import medcolor as medcolor_command
from conftest import make_photographs, make_scan

import medcolor
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.evaluate.structure import evaluate_structure
from medcolor.progress import Silent

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("structure")

QUICK = ["features.working_size_px=64"]


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("structure")
    scan, photographs = make_scan(folder / "scan.nii.gz"), make_photographs(folder / "photographs")
    volume = folder / "v.ome.zarr"
    medcolor.colorize_volume(scan, photographs, volume, settings=load_settings(None, QUICK))
    return volume, scan, photographs


def test_the_default_keeps_the_structure_of_the_scan(colored):
    volume, scan, _ = colored
    words = evaluate_structure(volume, scan, load_settings(None, QUICK), Silent())
    found = dict(zip(words.split()[::2], map(float, words.split()[1::2]), strict=True))
    assert set(found) == {"gradient", "structure", "flicker", "border", "colorful"}
    assert found["gradient"] > 0.95
    assert np.isfinite(found["flicker"])


def test_another_scan_is_refused(colored, tmp_path):
    volume, _, _ = colored
    with pytest.raises(InputError, match="its shape is"):
        evaluate_structure(
            volume, make_scan(tmp_path / "other.nii.gz", size=40), load_settings(), Silent()
        )


def test_compare_writes_four_sheets(colored, tmp_path):
    _, scan, photographs = colored
    photograph = sorted(photographs.iterdir())[2]
    command = ["compare", scan, photograph, tmp_path / "out"]
    done = medcolor_command(*command, "--slice", "4", "--set", *QUICK)
    assert done.returncode == 0, done.stderr
    assert [line.rsplit("/", 1)[-1] for line in done.stdout.split()] == [
        f"figure-{n}.png" for n in (3, 4, 6, 7)
    ]
    wrong = medcolor_command(*command, "--slice", "99")
    assert wrong.returncode == 2
    assert "99" in wrong.stderr
