"""``site.yaml``: all that a site has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from anomalib_federated.backbones import layer_scales
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.bank.validation import check_name
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.federation.privacy_guard import PrivacyError, PrivacyGuard
from anomalib_federated.federation.privacy_terms import PrivacyTerms
from anomalib_federated.federation.scores import LEAST_PICTURES
from anomalib_federated.federation.settings.quotas import Quotas
from anomalib_federated.federation.settings.reading import named, read_settings, settings_parser
from anomalib_federated.federation.site import Site
from anomalib_federated.models.patch_features import PatchFeatureExtractor


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """A site's own settings; how features are made is the federation's to say.

    Attributes:
        site: Name of the site, the one under which the centre registered its node.
        data: Its pictures.
        weights: File of the backbone's weights; ``None`` takes the packaged ones, else timm's hub.
        store: Folder in which patch features are kept, so that no picture goes through the network twice; ``None``
            extracts them again for every question, since each is answered by a process of its own.
        memory: What the site's process may use, such as ``"4GB"``; ``None`` leaves half of what the machine has free to
            others.
        quotas: What the site gives at most.
        least_pictures: Good, and defective, test pictures of a category below which the site tells no figures of it.
        privacy: What it asks for before anything about its pictures leaves it; ``None`` asks for nothing.
        groups: How the site groups its pictures, as :meth:`anomalib_federated.data.grouping.Grouping.of` reads it. The
            groups' names, and which row of the bank is of which, leave the site. ``None`` tells of no groups.

    Raises:
        BankError: If the name cannot be that of a site.
        ValueError: If there are privacy terms that leave open how much may be given away, or groups beside them.
        GroupingError: If the groups are not understood.
    """

    site: str
    data: AutoVI
    weights: str | None = None
    store: Path | None = None
    memory: str | int | None = None
    quotas: Quotas = field(default_factory=Quotas)
    least_pictures: int = LEAST_PICTURES
    privacy: PrivacyTerms | None = None
    groups: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_name("site", self.site)
        if self.privacy is not None and self.privacy.epsilon is None:
            msg = "privacy.epsilon is missing: say how much this site gives away of one unit at most, in all releases."
            raise ValueError(msg)
        if self.privacy is not None and self.groups is not None:
            msg = "groups tell of pictures what no promise covers; leave either groups or privacy out."
            raise ValueError(msg)
        self.grouping()

    def grouping(self) -> Grouping | None:
        """How the site groups its pictures.

        Raises:
            GroupingError: If that is not understood.
        """
        return None if self.groups is None else Grouping.of(self.groups)

    @classmethod
    def read(cls, path: str | Path) -> SiteSettings:
        """Read ``site.yaml``.

        Args:
            path: The file. Paths in it are absolute, or start where the process was started.

        Raises:
            SettingsError: If it cannot be used; the message names the field.
        """
        with named(Path(path)):
            return cls(**vars(read_settings(Path(path), _parser())))

    def make_site(self, space: FeatureSpace) -> ConfiguredSite:
        """The site, set up for the feature space of a federation.

        Raises:
            QuotaError: If the space takes larger pictures than this site computes with.
            PrivacyError: If this site has privacy terms, and the layers' scales are not the backbone's own: features
                that overflow under others would tell of pictures, without noise.
            BackboneError: If the backbone or its weights cannot be had here.
            LayoutError: If there are no pictures where they are said to be.
        """
        self.quotas.check_space(space)
        if self.privacy is not None and space.layer_scales != layer_scales(space.backbone, space.layers):
            msg = "Under privacy terms, features are divided by the backbone's own layer scales; agree on these."
            raise PrivacyError(msg)
        self.data.prepare_data()
        self.data.setup()
        return ConfiguredSite(self, space)


class ConfiguredSite(Site):
    """A site as its ``site.yaml`` describes it.

    Args:
        settings: What the file says; the data set is set up.
        space: Feature space of the federation.
    """

    def __init__(self, settings: SiteSettings, space: FeatureSpace) -> None:
        super().__init__(
            settings.site,
            settings.data.train_data,
            extractor=PatchFeatureExtractor.of_space(space, weights=settings.weights),
            batch_size=settings.data.train_batch_size,
            num_workers=settings.data.num_workers,
            store=settings.store,
            memory=settings.memory,
            guard=PrivacyGuard(settings.privacy) if settings.privacy else None,
            groups=settings.grouping(),
        )
        self.settings = settings


def _parser() -> ArgumentParser:
    parser = settings_parser()
    parser.add_argument("--site", type=str, required=True)
    parser.add_subclass_arguments(AutoVI, "data", required=True)
    parser.add_argument("--weights", type=str | None, default=None)
    parser.add_argument("--store", type=Path | None, default=None)
    parser.add_argument("--memory", type=str | int | None, default=None)
    parser.add_class_arguments(Quotas, "quotas")
    parser.add_argument("--least_pictures", type=int, default=LEAST_PICTURES)
    parser.add_argument("--privacy", type=PrivacyTerms | None, default=None)
    parser.add_argument("--groups", type=dict[str, Any] | None, default=None)
    return parser
