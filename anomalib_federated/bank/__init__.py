"""The memory bank: all that leaves a site."""

from anomalib_federated.bank.contribution import Contribution
from anomalib_federated.bank.description import describe
from anomalib_federated.bank.feature_space import FeatureSpace
from anomalib_federated.bank.memory_bank import MemoryBank
from anomalib_federated.bank.validation import BankError

__all__ = ["BankError", "Contribution", "FeatureSpace", "MemoryBank", "describe"]
