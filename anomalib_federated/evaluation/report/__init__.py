"""One self-contained HTML file about a whole experiment."""

from anomalib_federated.evaluation.report.page import write_report

__all__ = ["write_report"]
