"""Files of the published layouts, made here with random weights."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from medcolor.errors import InputError
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.features.published import GRAY_VGG19, VGG19, fold_normalisation, read_published

# VGG-19 configuration E, written down from the paper, M for max pooling.
E = "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M"


def make_state(layout):
    """Return random weights in a published layout; fc7 and fc8 take no memory."""
    source = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in layout.shapes().items():
        if len(shape) == 4:
            deviation = (2 / (shape[1] * 9)) ** 0.5
            state[key] = deviation * torch.randn(shape, generator=source)
        elif len(shape) == 2:
            state[key] = (0.01 * torch.randn(1, shape[1], generator=source)).expand(shape)
        else:
            state[key] = 0.1 * torch.randn(shape, generator=source)
    return state


@pytest.fixture(scope="module")
def gray_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gray") / "vgg19_gray.pth"
    torch.save(make_state(GRAY_VGG19), path)
    return path


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tv") / "vgg19.pth"
    torch.save(make_state(VGG19), path)
    return path


def original_taps(state, layout, signal, *, ceil_mode):
    """Run three channels through the file's own layers, as its authors do."""
    taps, index, used = [], 0, 0
    for layer in E.split()[:-1]:
        if layer == "M":
            signal = F.max_pool2d(signal, 2, 2, ceil_mode=ceil_mode)
            index += 1
            continue
        key = f"{layout.convolutions}{index}"
        signal = F.conv2d(signal, state[f"{key}.weight"], state[f"{key}.bias"], padding=1).relu()
        if used in (0, 2, 4, 8, 12):
            taps.append(signal)
        used, index = used + 1, index + 2
    return taps


def assert_alike(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        scale = float(other.abs().max())
        assert float((one - other).abs().max()) < 2e-5 * scale


@pytest.mark.parametrize("shape", [(48, 64), (37, 51)])
def test_vgg19_on_a_grey_image_gives_the_originals_activations(torchvision_file, shape):
    """The border too: there folding the mean into a bias would be wrong."""
    grey = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(1))
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    colour = (grey.expand(-1, 3, -1, -1) - mean) / deviation
    state = torch.load(torchvision_file, weights_only=True)
    expected = original_taps(state, VGG19, colour, ceil_mode=False)
    assert_alike(read_published(torchvision_file)(grey), expected)


@pytest.mark.parametrize("shape", [(48, 64), (37, 51)])
def test_gray_vgg19_sees_cie_lightness_and_pools_with_ceil(gray_file, shape):
    import cv2

    grey = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(1))
    rgb = grey[0, 0, :, :, None].expand(-1, -1, 3).contiguous().numpy()
    lightness = torch.from_numpy(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., 0] * 2.55)
    state = torch.load(gray_file, weights_only=True)
    signal = lightness[None, None].expand(-1, 3, -1, -1)
    expected = original_taps(state, GRAY_VGG19, signal, ceil_mode=True)
    for one, other in zip(read_published(gray_file)(grey), expected, strict=True):
        assert one.shape == other.shape
        # OpenCV's float L* comes from a table.
        assert float((one - other).abs().max()) < 2e-3 * float(other.abs().max())


def test_fc6_is_the_files(gray_file):
    network = read_published(gray_file)
    assert network.spec.descriptor_size == 4096
    state = torch.load(gray_file, weights_only=True)
    assert torch.equal(network.fc6[0].weight, state["38.1.weight"])
    assert torch.equal(network.fc6[0].bias, state["38.1.bias"])


def test_a_folded_bias_alone_would_be_wrong_at_the_border():
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    folded = fold_normalisation(weight)
    plain = F.conv2d(torch.zeros(1, 1, 8, 8), folded[:, :1], folded[:, 1].sum((1, 2)), padding=1)
    ones = torch.cat([torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)], 1)
    exact = F.conv2d(ones, folded, padding=1)
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(plain[inner], exact[inner])
    assert float((plain - exact)[..., 0, :].abs().max()) > 0.1


def test_safetensors_of_the_layout_are_read_too(torchvision_file, tmp_path):
    state = torch.load(torchvision_file, weights_only=True)
    path = tmp_path / "vgg19.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    network = read_published(path)
    assert network.spec.name == "vgg19"
    assert torch.equal(network.conv3_2.weight, state["features.12.weight"])


def test_the_first_key_that_does_not_fit_is_named(gray_file, tmp_path):
    state = torch.load(gray_file, weights_only=True)
    path = tmp_path / "w.pth"

    torch.save({"conv1_1.weight": state["0.weight"]}, path)
    with pytest.raises(InputError, match=r"'conv1_1.weight', expected 0.weight or features.0"):
        read_published(path)

    torch.save({**state, "12.weight": torch.zeros(256, 256, 1, 1)}, path)
    with pytest.raises(InputError, match=r"'12.weight' holds \(256, 256, 1, 1\), expected \(256"):
        read_published(path)

    torch.save({key: value for key, value in state.items() if key != "38.1.bias"}, path)
    with pytest.raises(InputError, match=r"'38.1.bias' holds nothing, expected \(4096,\)"):
        read_published(path)

    torch.save({**state, "44.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"unknown key '44\.weight'"):
        read_published(path)


class _Dangerous:
    def __reduce__(self):
        return eval, ("__import__('pathlib').Path('ran').touch()",)


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": _Dangerous()}, "w.pth")
    with pytest.raises(InputError, match="more than tensors and was not run"):
        read_published(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no weights", pickle.dumps([1, 2], protocol=2), b"PK\x03\x04xx"]
)
def test_what_is_no_weights_file_is_refused(tmp_path, content):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth"):
        read_published(path)


def test_bf16_agrees_with_fp32():
    torch.manual_seed(0)
    spec = NetworkSpec(name="s", width=0.125, descriptor_size=16, input_scale=1.0)
    network = GrayVGG19(spec).requires_grad_(False)
    image = torch.rand(1, 1, 32, 48)
    exact = network(image)
    rough = network.to(torch.bfloat16)(image)
    for one, other in zip(rough, exact, strict=True):
        assert one.dtype == torch.bfloat16
        cosine = F.cosine_similarity(one.float(), other, dim=1)
        alive = other.norm(dim=1) > 0.05 * other.norm(dim=1).max()
        assert float(cosine[alive].min()) > 0.999


def test_a_batch_gives_what_its_images_give_alone():
    torch.manual_seed(0)
    network = GrayVGG19(NetworkSpec(name="s", width=0.125, descriptor_size=16))
    images = torch.rand(3, 1, 224, 224)
    together = network.describe(images)
    alone = torch.cat([network.describe(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
