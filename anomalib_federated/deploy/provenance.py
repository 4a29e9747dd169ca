"""Where an exported detector comes from, for its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from anomalib_federated.bank.description import describe_privacy
from anomalib_federated.deploy.exported_model import FORMAT
from anomalib_federated.models import FederatedPatchcore


def provenance(model: FederatedPatchcore) -> dict[str, Any]:
    """What a bundle says of all categories together: versions, network, bank, sites and the promises to them."""
    return {
        "versions": _versions(),
        "backbone": {"name": model.space.backbone, "digest": model.space.weights},
        "space": asdict(model.space),
        **model.scorer.settings,
        "bank": {"digest": model.bank.digest, "rows": len(model.bank)},
        "sites": list(model.bank.sites),
        "privacy": describe_privacy(model.bank),
    }


def category_provenance(model: FederatedPatchcore, category: str) -> dict[str, Any]:
    """What a bundle says of one category: its thresholds, its rows, and which sites' pictures are behind them."""
    return {
        "bank_rows": len(model.bank.for_category(category)),
        **model.post_processor.description(category),
        "contributions": [
            {"site": item.site, "pictures": item.images, "patches": item.patches, "rows": item.rows}
            for item in model.bank.contributions
            if item.category == category
        ],
    }


def model_manifest(model: FederatedPatchcore, category: str, parity: Mapping[str, Any]) -> dict[str, Any]:
    """What a lone ``model.xml`` says of itself."""
    told = category_provenance(model, category)
    return {
        "format": FORMAT,
        "category": category,
        **{name: told[name] for name in ("image_threshold", "pixel_threshold", "threshold_source", "bank_rows")},
        "sites": list(model.bank.sites),
        "privacy": describe_privacy(model.bank),
        "space": asdict(model.space),
        "parity": dict(parity),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("anomalib-federated", "openvino", "torch")}
