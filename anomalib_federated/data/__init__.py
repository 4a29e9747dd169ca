"""Data sets: AutoVI and its like, with every defect channel; demo data."""

from anomalib_federated.data.autovi import AutoVI
from anomalib_federated.data.demo import make_demo_dataset
from anomalib_federated.data.download import download_autovi

__all__ = ["AutoVI", "download_autovi", "make_demo_dataset"]
