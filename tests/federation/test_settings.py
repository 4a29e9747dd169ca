"""Settings of a deployment: the files that are shipped can be read, and mistakes are named."""

from pathlib import Path

import pytest
import yaml

from anomalib_federated.data.grouping import Picture
from anomalib_federated.federation.settings import FederationSettings, Quotas, SettingsError, SiteSettings

CONFIGS = Path(__file__).parents[2] / "configs" / "deployment"


def changed(name, tmp_path, **values):
    config = yaml.safe_load((CONFIGS / name).read_text())
    for key, value in values.items():
        place = config
        *parents, last = key.split("__")
        for parent in parents:
            place = place[parent]
        place[last] = value
    file = tmp_path / name
    file.write_text(yaml.safe_dump({key: value for key, value in config.items() if value != "left out"}))
    return file


def test_the_site_file_that_is_shipped():
    settings = SiteSettings.read(CONFIGS / "site.yaml")
    assert (settings.site, settings.store, settings.memory) == ("plant-a", Path("/srv/site/features"), "4GB")
    assert settings.quotas == Quotas(max_rows=20_000, max_bytes=200_000_000, max_pixels=1_000_000)
    assert settings.data.requested is None
    assert settings.least_pictures == 5


def test_the_federation_file_that_is_shipped():
    settings = FederationSettings.read(CONFIGS / "federation.yaml")
    assert settings.agreement().budget == 10_000
    assert settings.agreement().space == settings.model.space
    assert settings.make_strategy().coreset.budget.most == 10_000
    assert settings.plan().sites == settings.sites == ("plant-a", "plant-b", "plant-c")
    assert settings.plan().quorum == 2
    assert settings.plan().renew == ()


def test_a_site_says_how_its_pictures_are_grouped(tmp_path):
    grouping = SiteSettings.read(changed("site.yaml", tmp_path, groups={"pattern": r"^(?P<group>exp\d)_"})).grouping()
    assert grouping.names([Picture("tile/train/good/exp3_1.png", "tile")]) == ["exp3"]
    assert SiteSettings.read(CONFIGS / "site.yaml").grouping() is None


def test_a_federation_agrees_on_a_fairness_rule(tmp_path):
    fairness = {"class_path": "fair_k_center", "init_args": {"minimum": 3}}
    agreed = FederationSettings.read(changed("federation.yaml", tmp_path, fairness=fairness)).agreement()
    assert (agreed.fairness, agreed.fairness_args) == ("fair_k_center", {"minimum": 3})
    assert FederationSettings.read(CONFIGS / "federation.yaml").agreement().fairness == "none"


def test_sites_whose_bank_is_to_be_renewed(tmp_path):
    settings = FederationSettings.read(changed("federation.yaml", tmp_path, renew=["plant-c"]))
    assert settings.plan().renew == ("plant-c",)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"site": "left out"}, "site"),
        ({"site": "../plant"}, "site"),
        ({"data": "left out"}, "data"),
        ({"pictures": "/srv"}, "pictures"),
        ({"quotas__rows": 5}, "rows"),
        ({"quotas__max_rows": 0}, "max_rows"),
        ({"quotas__max_bytes": "many"}, "max_bytes"),
        ({"data__init_args__rot": "/srv"}, "rot"),
        ({"memory": [4]}, "memory"),
        ({"groups": {"pattern": "^(exp)_"}}, r"put \(\?P<group>"),
        ({"groups": {"by": "line"}}, "are not understood"),
        ({"groups": "category"}, "groups"),
        (
            {"groups": {"by": "category"}, "privacy": {"folder": "/srv/p", "epsilon": 1.0}},
            "leave either groups or privacy",
        ),
    ],
)
def test_a_mistake_in_site_yaml_is_named(values, named, tmp_path):
    file = changed("site.yaml", tmp_path, **values)
    with pytest.raises(SettingsError, match=rf"(?s){file}.*{named}"):
        SiteSettings.read(file)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"sites": "left out"}, "sites"),
        ({"sites": ["plant-a", "plant-a"]}, "sites"),
        ({"renew": ["plant-x"]}, "renew"),
        ({"renew": ["plant-a", "plant-a"]}, "renew"),
        ({"output": "left out"}, "output"),
        ({"rounds": 2}, "rounds"),
        ({"dtype": "float64"}, "dtype"),
        ({"quorum": 4}, "quorum"),
        ({"deadline": -1.0}, "deadline"),
        ({"strategy": "best"}, "best"),
        ({"strategy__init_args__rows": 4}, "rows"),
        ({"site_coreset": "no_coreset"}, "no_coreset"),
        ({"fairness": "fairest"}, "fairest"),
        ({"fairness": "equal", "privacy": "row_noise"}, "needs the privacy plugin none"),
        ({"model__init_args__budgets": 4}, "budgets"),
    ],
)
def test_a_mistake_in_federation_yaml_is_named(values, named, tmp_path):
    file = changed("federation.yaml", tmp_path, **values)
    with pytest.raises(SettingsError, match=rf"(?s){file}.*{named}"):
        FederationSettings.read(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match="There is no settings file at"):
        SiteSettings.read(tmp_path / "site.yaml")


@pytest.mark.parametrize("text", ["site: [", "- a", ""])
def test_what_is_no_mapping_is_refused(text, tmp_path):
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"site\.yaml"):
        SiteSettings.read(tmp_path / "site.yaml")
