"""Privacy: what is promised, what it costs, and the noise that keeps the promise."""

from anomalib_federated.privacy.report import PrivacyReport

__all__ = ["PrivacyReport"]
