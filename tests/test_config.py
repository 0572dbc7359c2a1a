from pathlib import Path

import pytest
import yaml

from medcolor import config
from medcolor.config import RunSettings, describe_settings, load_settings
from medcolor.errors import InputError

ROOT = Path(__file__).parents[1]


def test_the_settings_file_of_the_repository_holds_the_defaults():
    assert (ROOT / "configs" / "default.yaml").read_text() == describe_settings()
    assert load_settings(ROOT / "configs" / "default.yaml") == RunSettings()


def test_the_fast_matching_is_the_default_and_the_paper_s_differs_in_matching_alone():
    folder = ROOT / "configs" / "matching"
    assert load_settings(folder / "fast.yaml") == RunSettings()
    paper = load_settings(folder / "paper.yaml")
    assert paper.matching.deconvolution_evaluations == 100
    assert paper.model_copy(update={"matching": RunSettings().matching}) == RunSettings()


def test_every_key_is_documented():
    schema = RunSettings.model_json_schema()
    for stage in schema["$defs"].values():
        for name, field in stage["properties"].items():
            assert len(field.get("description", "")) > 10, name


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("smoothing: {guide_sigma: 50, smoothness: 3}\n")
    settings = load_settings(path, ["smoothing.guide_sigma=7", "volume.spacing_mm=[1, 2, 3]"])
    assert settings.smoothing.guide_sigma == 7
    assert settings.smoothing.smoothness == 3
    assert settings.volume.spacing_mm == (1, 2, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("smoothing.guide=7", "smoothing.guide: Unexpected keyword"),
        ("nonsense.key=7", "nonsense: Extra inputs"),
        ("smoothing", "expected stage.key=value"),
        ("volume.spacing_mm=[1,2", "the value is no YAML"),
        ("volume.spacing_mm=[1,2]", "volume.spacing_mm"),
        ("volume.spacing_mm=[1,1,0]", "spacing_mm must be > 0"),
        ("volume.orientation=LPX", "orientation 'LPX'"),
        ("volume.window=[5,5]", "black < white"),
        ("reference.orientation=XYZ", "orientation 'XYZ'"),
        ("features.working_size_px=8", "at least 16"),
        ("features.equalization=2", "0..1"),
        ("matching.patch_px=[3,3,3,3,4]", "five odd"),
        ("transfer.gamma=0", "gamma must be > 0"),
        ("transfer.vote_patch_px=2", "must be odd"),
        ("transfer.look=sepia", "Input should be 'photograph', 'scan' or 'paper'"),
        ("model.contrast_levels=1", "contrast_levels must be >= 2"),
        ("model.widths_cells=[[1,2]]", "model.widths_cells"),
        ("model.tolerance=0", "tolerance and border_contrast must be > 0"),
        ("retrieval.advance_cost=-1", "costs must be"),
        ("store.slab_slices=33", "multiple of chunk"),
        ("render.size_px=101", "must be even"),
        ("scene.clip_axial=[0.9,0.1]", "low < high"),
        ("compute.device=tpu", "Input should be 'auto'"),
        ("compute.threads=-1", "threads, batch_pairs"),
    ],
)
def test_an_unusable_setting_is_named(override, message):
    with pytest.raises(InputError, match=r"settings|Quote") as caught:
        load_settings(None, [override])
    assert message in str(caught.value)


@pytest.mark.parametrize("key", config._GONE)
def test_a_setting_of_an_earlier_version_is_told_what_took_its_place(tmp_path, key):
    stage, _, name = key.partition(".")
    path = tmp_path / "s.yaml"
    path.write_text(f"{stage}: {{{name or 'reach_mm'}: 3}}\n")
    for given in ((None, [f"{stage}.{name or 'reach_mm'}=3"]), (path, [])):
        with pytest.raises(InputError) as caught:
            load_settings(*given)
        assert config._GONE[key] in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "smoothing: 3\n", "a: [", "\x00"])
def test_a_file_that_is_no_settings_file_is_named(tmp_path, content):
    path = tmp_path / "s.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"s\.yaml"):
        load_settings(path)


def test_the_digest_follows_what_decides_voxels_alone():
    base = RunSettings().digest()
    assert load_settings(None, ["render.frames=3"]).digest() == base
    assert load_settings(None, ["compute.threads=3"]).digest() == base
    assert load_settings(None, ["transfer.gamma=0.75"]).digest() != base


def test_all_settings_files_of_the_repository_are_valid():
    files = list((ROOT / "configs").rglob("*.yaml"))
    assert files
    for path in files:
        assert yaml.safe_load(path.read_text())
        load_settings(path)
