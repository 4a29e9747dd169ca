"""A drawn data set with the layout, the categories and the defect types of AutoVI, for trials without a download."""

from anomalib_federated.data.demo.writing import make_demo_dataset

__all__ = ["make_demo_dataset"]
