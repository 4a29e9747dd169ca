"""PatchCore with a memory bank that can come from several sites."""

from anomalib_federated.models.detector_of_bank import detector_of
from anomalib_federated.models.federated_patchcore import FederatedPatchcore
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.models.post_processor import NormalQuantilePostProcessor

__all__ = [
    "FederatedPatchcore",
    "NormalQuantilePostProcessor",
    "PatchCollection",
    "PatchFeatureExtractor",
    "detector_of",
]
