"""The centre's own folder of a federation: what is agreed, who is in, and every version of the global bank."""

from anomalib_federated.federation.folder.errors import FolderError
from anomalib_federated.federation.folder.events import StoredBank
from anomalib_federated.federation.folder.federation_folder import FederationFolder
from anomalib_federated.federation.folder.site_status import SiteStatus
from anomalib_federated.federation.folder.version import Measurement, Version

__all__ = ["FederationFolder", "FolderError", "Measurement", "SiteStatus", "StoredBank", "Version"]
