"""What a site gives at most, whatever the centre asks for."""

from __future__ import annotations

from dataclasses import dataclass, fields

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.selection.budget import Budget


class QuotaError(ValueError):
    """The centre asks for more than the site gives."""


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """A site's limits; ``None`` sets none.

    Attributes:
        max_rows: Rows of a category that one answer holds.
        max_bytes: Bytes of bank in one answer.
        max_pixels: Pixels of a picture after resizing, which decide memory and time of the network.

    Raises:
        ValueError: If a limit is no whole number of at least 1.

    Example:
        >>> Quotas(max_bytes=1000).check_bytes(1001)
        Traceback (most recent call last):
        ...
        anomalib_federated.federation.settings.quotas.QuotaError: The answer has 1001 bytes of bank, but this site \
sends at most 1000; agree on fewer rows or another dtype, or have the site raise quotas.max_bytes.
    """

    max_rows: int | None = None
    max_bytes: int | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                msg = f"The quota {field.name} is {value!r}; give a whole number of at least 1, or null for no limit."
                raise ValueError(msg)

    def check_agreement(self, agreement: Agreement) -> None:
        """Refuse a federation that asks for more rows, or for larger pictures, before anything is computed.

        Raises:
            QuotaError: If it does, or does not say how many rows it asks for.
        """
        self.check_space(agreement.space)
        most = Budget.of(agreement.budget).most
        if self.max_rows is None:
            return
        if isinstance(most, float):
            msg = (
                f"The federation asks for a share ({most}) of the patches, but this site sends at most {self.max_rows} "
                "rows of a category; agree on a number of rows."
            )
            raise QuotaError(msg)
        if most > self.max_rows:
            msg = (
                f"The federation asks for {most} rows of a category, but this site sends at most {self.max_rows}; "
                "agree on fewer, or have the site raise quotas.max_rows."
            )
            raise QuotaError(msg)

    def check_space(self, space: FeatureSpace) -> None:
        """Refuse pictures that are larger than the site computes with.

        Raises:
            QuotaError: If they are, or keep their own size, which may be any.
        """
        if self.max_pixels is None:
            return
        if space.image_size is None or space.image_size[0] * space.image_size[1] > self.max_pixels:
            size = "their own size" if space.image_size is None else " x ".join(map(str, space.image_size))
            msg = (
                f"The federation wants pictures of {size}, but this site computes with at most {self.max_pixels} "
                "pixels; agree on smaller ones, or have the site raise quotas.max_pixels."
            )
            raise QuotaError(msg)

    def check_bytes(self, count: int) -> None:
        """Refuse to send too much.

        Args:
            count: Bytes of bank in an answer.

        Raises:
            QuotaError: If they are more than the site sends.
        """
        if self.max_bytes is not None and count > self.max_bytes:
            msg = (
                f"The answer has {count} bytes of bank, but this site sends at most {self.max_bytes}; agree on fewer "
                "rows or another dtype, or have the site raise quotas.max_bytes."
            )
            raise QuotaError(msg)
