"""What a site computes, and the Flower apps that carry it."""

from anomalib_federated.agreement import Agreement
from anomalib_federated.federation.client_app import client_app
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.federation.server_app import Federation, run_federation, server_app
from anomalib_federated.federation.simulation import make_sites, simulate
from anomalib_federated.federation.site import Site

__all__ = [
    "Agreement",
    "Federation",
    "InProcessGrid",
    "Site",
    "client_app",
    "make_sites",
    "run_federation",
    "server_app",
    "simulate",
]
