import dataclasses
import hashlib
import json
import zipfile

import pytest
import torch
from typer.testing import CliRunner
from web import Behaviour, serving

from medcolor import weights
from medcolor.cli import app
from medcolor.config import load_settings
from medcolor.errors import InputError, RunError
from medcolor.features import published
from medcolor.features.network import GrayVGG19
from medcolor.features.registry import REGISTRY, find_network, stored_path
from medcolor.progress import Silent
from medcolor.run.plan import Capabilities, open_network, resolve_hardware
from medcolor.run.serial import SerialRunner
from medcolor.run.tasks import Done

QUICK = weights.Patience(attempts=3, timeout_s=1.0, pause_s=0.01)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, and published networks a sixteenth as wide."""
    monkeypatch.setenv("MEDCOLOR_CACHE", str(tmp_path / "cache"))
    stages = tuple((count // 16, depth) for count, depth in published.STAGES)
    monkeypatch.setattr(published, "STAGES", stages)
    monkeypatch.setattr(published, "_FULLY_CONNECTED", ((24, 32 * 49), (8, 24), (4, 8)))
    for name in ("GRAY_VGG19", "VGG19"):
        layout = getattr(published, name)
        spec = dataclasses.replace(layout.spec, width=1 / 16, descriptor_size=24)
        monkeypatch.setattr(published, name, dataclasses.replace(layout, spec=spec))
    layouts = (published.GRAY_VGG19, published.VGG19)
    monkeypatch.setattr(published, "_LAYOUTS", layouts)
    return tmp_path / "cache" / "weights"


def make_file(path, layout):
    source = torch.Generator().manual_seed(3)
    shapes = layout.shapes()
    torch.save({key: torch.randn(shape, generator=source) for key, shape in shapes.items()}, path)
    return path


def entry(name, content, **changes):
    digest = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(REGISTRY[name], sha256=digest[:8], **changes)


def test_a_pulled_network_is_stored_and_found_by_name(tmp_path, cache):
    content = make_file(tmp_path / "v.pth", published.VGG19).read_bytes()
    with serving(Behaviour(content, ["cut", "busy"])) as url:
        stored = weights.pull_weights(entry("vgg19", content, url=url), Silent(), patience=QUICK)
    assert stored.origin_digest == hashlib.sha256(content).hexdigest()
    assert sorted(p.name for p in cache.iterdir()) == ["vgg19.json", "vgg19.safetensors"]
    assert find_network("vgg19") == stored.path == stored_path("vgg19")

    # Not auto, which a GPU rounds.
    chosen = ["features.network=vgg19", "features.precision=fp32"]
    network = open_network(load_settings(None, chosen))
    assert network.digest == stored.digest
    grey = torch.rand(1, 1, 32, 32)
    expected = published.read_published(tmp_path / "v.pth")(grey)
    for one, other in zip(network.module(grey), expected, strict=True):
        assert torch.equal(one, other)


def test_a_network_in_an_archive_is_taken_out(tmp_path, cache):
    make_file(tmp_path / "g.pth", published.GRAY_VGG19)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "g.pth", "data/vgg19_gray.pth")
        archive.writestr("data/other.pth", b"not asked for")
    content = (tmp_path / "a.zip").read_bytes()
    with serving(Behaviour(content)) as url:
        weights.pull_weights(
            entry("vgg19-gray", content), Silent(), url=f"{url}.zip", patience=QUICK
        )
    assert sorted(p.name for p in cache.iterdir()) == ["vgg19-gray.json", "vgg19-gray.safetensors"]


def test_what_is_not_the_network_leaves_nothing(tmp_path, cache):
    content = make_file(tmp_path / "g.pth", published.GRAY_VGG19).read_bytes()
    with (
        serving(Behaviour(content)) as url,
        pytest.raises(InputError, match="holds vgg19-gray, expected vgg19"),
    ):
        weights.pull_weights(entry("vgg19", content, url=url), Silent(), patience=QUICK)
    with (
        serving(Behaviour(content)) as url,
        pytest.raises(RunError, match="SHA-256"),
    ):
        weights.pull_weights(entry("vgg19", b"something else", url=url), Silent(), patience=QUICK)
    assert list(cache.iterdir()) == []


def test_an_imported_file_is_recognised_by_its_keys(tmp_path):
    for layout in (published.GRAY_VGG19, published.VGG19):
        file = make_file(tmp_path / "some.pth", layout)
        result = CliRunner().invoke(app, ["weights", "import", str(file)])
        assert result.exit_code == 0, result.output
        assert result.output.startswith(layout.spec.name)
        assert isinstance(weights.load_network(stored_path(layout.spec.name)).module, GrayVGG19)


def test_verify_finds_a_changed_file(tmp_path):
    weights.import_weights(make_file(tmp_path / "v.pth", published.VGG19))
    good = CliRunner().invoke(app, ["weights", "verify"])
    assert good.exit_code == 0, good.output
    path = stored_path("vgg19")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    bad = CliRunner().invoke(app, ["weights", "verify"])
    assert bad.exit_code == 1
    assert "BAD  vgg19" in bad.output
    assert "medcolor weights pull vgg19" in bad.output
    assert "ok   embedded" in bad.output


def test_the_list_tells_what_is_here(tmp_path):
    before = weights.list_weights()
    weights.import_weights(make_file(tmp_path / "v.pth", published.VGG19))
    lines = {line.split()[0]: line.split()[1] for line in weights.list_weights().splitlines()}
    assert lines == {"NAME": "HERE", "embedded": "yes", "vgg19-gray": "no", "vgg19": "yes"}
    assert "dcbb9e9d" in before
    for known in REGISTRY.values():
        assert known.url in before
        assert known.licence in before


def test_a_known_name_that_is_not_here_says_how_to_get_it():
    with pytest.raises(InputError, match="medcolor weights pull vgg19-gray; or: medcolor weights"):
        find_network("vgg19-gray")


def test_pulling_an_unknown_name_lists_the_known_ones():
    result = CliRunner().invoke(app, ["weights", "pull", "resnet"])
    assert isinstance(result.exception, InputError)
    assert "vgg19-gray, vgg19" in str(result.exception)


def test_the_card_names_the_origin(tmp_path, cache):
    file = make_file(tmp_path / "v.pth", published.VGG19)
    weights.import_weights(file)
    card = json.loads((cache / "vgg19.json").read_text())
    assert card["origin"] == "v.pth"
    assert card["origin_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_precision_that_is_not_computed_fast_here_is_refused(monkeypatch):
    settings = load_settings(None, [])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("medcolor.run.plan.has_fast_bf16", lambda _: True)
    assert resolve_hardware(settings).features.precision == "fp32"
    assert resolve_hardware(settings).digest() != settings.digest()
    monkeypatch.setattr("medcolor.run.plan.has_fast_bf16", lambda _: False)
    with pytest.raises(InputError, match="does not multiply bf16 in hardware"):
        open_network(load_settings(None, ["features.precision=bf16"]))
    with pytest.raises(InputError, match="arithmetic of GPUs"):
        open_network(load_settings(None, ["features.precision=tf32"]))


def test_bf16_weights_are_loaded_where_asked(monkeypatch):
    monkeypatch.setattr("medcolor.run.plan.has_fast_bf16", lambda _: True)
    network = open_network(load_settings(None, ["features.precision=bf16"]))
    assert {p.dtype for p in network.module.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(("present", "expected"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, present, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: present)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "H100")
    monkeypatch.setattr("medcolor.run.plan.has_fast_bf16", lambda device: device == "cuda")
    settings = load_settings(None, [])
    resolved = resolve_hardware(settings)
    assert resolved.compute.device == expected
    assert resolved.compute.card == ("H100" if present else "")
    assert resolved.features.precision == ("tf32" if present else "fp32")


def test_what_workers_elsewhere_can_is_what_counts(monkeypatch):
    """The driver of a cluster may have no GPU itself."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)

    class Elsewhere(SerialRunner):
        is_local = False

        def run(self, _make_worker, tasks, **_options):
            yield Done(tasks[0], Capabilities(has_gpu=False, fast_bf16=("cpu",)))

    resolved = resolve_hardware(load_settings(None, []), Elsewhere())
    assert (resolved.compute.device, resolved.features.precision) == ("cpu", "fp32")
    with pytest.raises(InputError, match="sees no GPU"):
        resolve_hardware(load_settings(None, ["compute.device=cuda"]), Elsewhere())


def test_an_absent_gpu_is_an_error_and_no_fallback(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="sees no GPU"):
        resolve_hardware(load_settings(None, ["compute.device=cuda"]))
