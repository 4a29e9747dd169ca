"""What a site computes, and the Flower apps that carry it."""

from anomalib_federated.federation.agreement_of_model import make_agreement
from anomalib_federated.federation.client_app import client_app
from anomalib_federated.federation.collection import Collected, collect
from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.federation.measuring import measure_global_bank
from anomalib_federated.federation.scores import FederatedScores, SiteScores
from anomalib_federated.federation.scoring import score_global_bank
from anomalib_federated.federation.server_app import Federation, run_federation, server_app
from anomalib_federated.federation.simulation import in_process_grid, make_sites, simulate
from anomalib_federated.federation.site import Site
from anomalib_federated.messages.agreement import Agreement

__all__ = [
    "Agreement",
    "Collected",
    "CollectionPlan",
    "FederatedScores",
    "Federation",
    "InProcessGrid",
    "Site",
    "SiteScores",
    "client_app",
    "collect",
    "in_process_grid",
    "make_agreement",
    "make_sites",
    "measure_global_bank",
    "run_federation",
    "score_global_bank",
    "server_app",
    "simulate",
]
