"""Calibrating, scoring and comparing detectors."""

from anomalib_federated.evaluation.evaluate import Evaluation, calibrate, evaluate
from anomalib_federated.evaluation.experiment import run_federated
from anomalib_federated.evaluation.results import ResultRow, read_results, write_results

__all__ = ["Evaluation", "ResultRow", "calibrate", "evaluate", "read_results", "run_federated", "write_results"]
