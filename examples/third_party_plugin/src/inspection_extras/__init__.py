"""A coreset and a strategy for anomalib-federated, in a package of their own."""
