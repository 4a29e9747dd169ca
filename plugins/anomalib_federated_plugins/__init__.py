"""First-party plugins of anomalib-federated, registered through the same entry points as anybody's."""
