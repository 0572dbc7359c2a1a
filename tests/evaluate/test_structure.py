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
LIKE_THE_SCAN = [*QUICK, "transfer.look=scan"]


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("structure")
    scan, photographs = make_scan(folder / "scan.nii.gz"), make_photographs(folder / "photographs")
    volume = folder / "v.ome.zarr"
    settings = load_settings(None, LIKE_THE_SCAN)
    medcolor.colorize_volume(scan, photographs, volume, settings=settings)
    return volume, scan, photographs


def measured(volume, scan):
    words = evaluate_structure(volume, scan, load_settings(None, QUICK), Silent())
    return dict(zip(words.split()[::2], map(float, words.split()[1::2]), strict=True))


def test_the_look_scan_keeps_its_gradients_and_the_look_photograph_those_of_photographs(
    colored, tmp_path
):
    volume, scan, photographs = colored
    kept = measured(volume, scan)
    assert set(kept) == {"gradient", "structure", "flicker", "border", "colorful"}
    assert kept["gradient"] > 0.95
    assert np.isfinite(kept["flicker"])
    # What is bright in this scan is dark in these photographs.
    settings = load_settings(None, QUICK)
    medcolor.colorize_volume(scan, photographs, tmp_path / "v.ome.zarr", settings=settings)
    assert measured(tmp_path / "v.ome.zarr", scan)["gradient"] < kept["gradient"]


def test_another_scan_is_refused(colored, tmp_path):
    volume, _, _ = colored
    with pytest.raises(InputError, match="its shape is"):
        evaluate_structure(
            volume, make_scan(tmp_path / "other.nii.gz", size=40), load_settings(), Silent()
        )


def test_compare_writes_the_looks_and_the_papers_figures(colored, tmp_path):
    _, scan, photographs = colored
    photograph = sorted(photographs.iterdir())[2]
    command = ["compare", scan, photograph, tmp_path / "out"]
    done = medcolor_command(*command, "--slice", "4", "--set", *QUICK)
    assert done.returncode == 0, done.stderr
    assert [line.rsplit("/", 1)[-1] for line in done.stdout.split()] == [
        "looks.png", *(f"figure-{n}.png" for n in (3, 4, 6, 7))
    ]  # fmt: skip
    wrong = medcolor_command(*command, "--slice", "99")
    assert wrong.returncode == 2
    assert "99" in wrong.stderr
