"""Patch features on disk: written picture by picture, read block by block."""

from anomalib_federated.patch_store.pictures import Identity, StoredPicture, StoreError
from anomalib_federated.patch_store.store import PatchStore
from anomalib_federated.patch_store.stored_rows import StoredRows

__all__ = ["Identity", "PatchStore", "StoreError", "StoredPicture", "StoredRows"]
