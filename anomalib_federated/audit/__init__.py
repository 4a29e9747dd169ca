"""Audits that could fail: how much a privacy plugin gives away at least, measured by attacking it."""

from anomalib_federated.audit.auditing import all_runs, audit, target_of
from anomalib_federated.audit.bank_target import Selecting
from anomalib_federated.audit.pictures import generated_pictures, generated_space
from anomalib_federated.audit.result import AuditResult

__all__ = ["AuditResult", "Selecting", "all_runs", "audit", "generated_pictures", "generated_space", "target_of"]
