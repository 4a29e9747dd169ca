"""What a deployed federation is told in YAML: one file at the centre, one at each site."""

from anomalib_federated.federation.settings.federation import FederationSettings
from anomalib_federated.federation.settings.quotas import QuotaError, Quotas
from anomalib_federated.federation.settings.reading import SettingsError
from anomalib_federated.federation.settings.site import SiteSettings

__all__ = ["FederationSettings", "QuotaError", "Quotas", "SettingsError", "SiteSettings"]
