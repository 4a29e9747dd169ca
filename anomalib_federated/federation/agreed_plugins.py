"""The plugins that an agreement names, as a site makes them; and what goes with none of them."""

from __future__ import annotations

from anomalib_federated import registry
from anomalib_federated.bank import BankError
from anomalib_federated.federation.privacy_guard import PrivacyError
from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.interfaces.privacy import Privacy
from anomalib_federated.messages.agreement import Agreement


def coreset_of(agreement: Agreement) -> Coreset:
    """What chooses a site's rows, or says at least how many they are.

    Raises:
        PluginError: If it is not installed here, or does not take the arguments agreed.
    """
    spec = {"class_path": agreement.coreset, "init_args": agreement.coreset_args}
    coreset: Coreset = registry.build("coreset", spec, budget=agreement.budget)
    return coreset


def fairness_of(agreement: Agreement) -> Fairness | None:
    """What chooses them by the groups of pictures; ``None`` if the coreset does without.

    Raises:
        PluginError: As :func:`coreset_of` does.
    """
    if agreement.fairness == "none":
        return None
    spec = {"class_path": agreement.fairness, "init_args": agreement.fairness_args}
    fairness: Fairness = registry.build("fairness", spec)
    return fairness


def privacy_of(agreement: Agreement) -> Privacy:
    """What is sent in place of a site's bank.

    Raises:
        PluginError: As :func:`coreset_of` does.
    """
    spec = {"class_path": agreement.privacy, "init_args": agreement.privacy_args}
    privacy: Privacy = registry.build("privacy", spec)
    return privacy


def check_bare(agreement: Agreement) -> None:
    """Refuse to send rows that no privacy plugin has seen, or no fairness rule has chosen, where one was agreed on.

    Raises:
        PrivacyError: If a privacy plugin was.
        BankError: If a fairness rule was.
    """
    if agreement.privacy != "none":
        msg = (
            f"The privacy plugin '{agreement.privacy}' was agreed on, and it is for one exchange of banks; use it with "
            "a strategy of one round."
        )
        raise PrivacyError(msg)
    if agreement.fairness != "none":
        msg = (
            f"The fairness rule '{agreement.fairness}' was agreed on, and it is for one exchange of banks; use it with "
            "a strategy of one round."
        )
        raise BankError(msg)


def check_ungrouped(agreement: Agreement, *, site: str) -> None:
    """Refuse that a site tells of groups where something is promised about its pictures.

    Raises:
        PrivacyError: If a privacy plugin was agreed on.
    """
    if agreement.privacy != "none":
        msg = (
            f"Site '{site}' tells which rows are of which group of pictures, and the privacy plugin "
            f"'{agreement.privacy}' does not protect that; leave groups out of the site's settings, or agree on none."
        )
        raise PrivacyError(msg)
