"""Groups of pictures from a site to the global bank, and rows that a fairness rule chooses among them."""

import importlib
from dataclasses import replace

import pytest
import torch

from anomalib_federated import messages
from anomalib_federated.bank import BankError
from anomalib_federated.bank.row_groups import group_of_rows, rows_by_group, with_groups
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping, GroupingError, Picture
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.federation import Agreement, make_sites, simulate
from anomalib_federated.federation.privacy_guard import PrivacyError
from anomalib_federated.federation.update import update_bank
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.messages.agreement import META_BYTES
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.partitioner.iid import IIDPartitioner
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.refinement import Refinement
from tests.federation.example_fairness import LastOfEach

PATCHES = 16
"""Of each picture of a made site."""
LIGHT = Grouping.of({"pattern": r"^(?P<group>[a-z]+)_"})


@pytest.fixture
def last_of_each(tmp_path, monkeypatch):
    """Registers a small rule as ``last_of_each``: by a distribution on the path."""
    info = tmp_path / "distribution" / "rules-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rules\nVersion: 1\n")
    entry = "[anomalib_federated.fairness]\nlast_of_each = tests.federation.example_fairness:LastOfEach\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(info.parent)
    importlib.invalidate_caches()
    return "last_of_each"


def grouped(site, lights):
    """The site, whose pictures have these lights, by their numbers, again and again."""
    patches = site.patches()
    pictures = {
        stored.name: Picture(f"{category}/train/good/{lights[number % len(lights)]}_{number}.png", category)
        for category in patches.categories
        for number, stored in enumerate(patches.rows(category).pictures)
    }
    patches.group_by(LIGHT, pictures)
    site.groups = LIGHT
    return site


def everything(site, category):
    rows = site.patches().rows(category)
    return rows.read(slice(0, len(rows))).clone()


def lights_of(sites, lights, category):
    """By the features of each patch of all sites, the light of its picture."""
    return {
        tuple(row): lights[site.name][number // PATCHES % len(lights[site.name])]
        for site in sites
        if category in site.patches().categories
        for number, row in enumerate(everything(site, category).tolist())
    }


@pytest.fixture
def lights():
    return {"north": ["dark", "light"], "south": ["light", "dim", "dim"]}


@pytest.fixture
def sites(make_site, lights):
    made = [make_site("north", seed=1, screw=4), make_site("south", seed=2, offset=1.0, screw=3, nut=2)]
    return [grouped(site, lights[site.name]) for site in made]


# --- at a site ------------------------------------------------------------------------------------------------------


def test_every_row_of_a_sites_bank_is_of_its_pictures_group(sites, lights, agreement):
    for site in sites:
        bank = site.build_bank(agreement)
        for category in bank.categories:
            wanted = lights_of([site], lights, category)
            own = bank.for_category(category)
            assert group_of_rows(own) == [wanted[tuple(row)] for row in own.features.tolist()]


def test_groups_alone_change_no_row(make_site, agreement):
    plain, with_lights = (make_site("north", seed=1, screw=4) for _ in range(2))
    bank = grouped(with_lights, ["dark", "light"]).build_bank(agreement)
    assert set(bank.groups) <= {"dark", "light"}
    assert plain.build_bank(agreement).digest == replace(bank, row_group=None, groups=()).digest


@pytest.mark.parametrize("backwards", [False, True])
def test_a_fairness_rule_chooses_among_the_sites_groups_and_is_measured_like_a_coreset(
    sites, agreement, last_of_each, backwards
):
    agreed = replace(agreement, fairness=last_of_each, fairness_args={"backwards": backwards})
    bank = sites[1].build_bank(agreed).for_category("screw")
    features, numbers = everything(sites[1], "screw"), torch.tensor([1, 0, 0]).repeat_interleave(PATCHES)
    chosen = LastOfEach(backwards=backwards).choose(features, numbers, budget=5, seed=0)
    assert torch.equal(bank.features, features[chosen])
    assert group_of_rows(bank) == [("dim", "light")[number] for number in numbers[chosen].tolist()]
    distances = torch.cdist(features.double(), features[chosen].double())
    (item,) = bank.contributions
    assert (item.coreset, bank.coresets, item.rows, item.images, item.patches) == (
        "last_of_each", {"screw": "last_of_each"}, 5, 3, 3 * PATCHES,
    )  # fmt: skip
    assert torch.equal(bank.weights, torch.bincount(distances.argmin(1), minlength=5).float())
    assert item.covering_radius == pytest.approx(float(distances.amin(1).max()), rel=1e-6)
    assert item.mean_distance == pytest.approx(float(distances.amin(1).mean()), rel=1e-6)
    assert bank.covering_radius == {"screw": item.covering_radius}


def test_a_site_without_groups_is_one_group(make_site, agreement, last_of_each):
    site = make_site("north", seed=1, screw=2)
    bank = site.build_bank(replace(agreement, fairness=last_of_each))
    assert bank.groups == ()
    assert torch.equal(bank.features, everything(site, "screw").flip(0)[:5])


def test_a_budget_of_all_rows_keeps_all(sites, agreement, last_of_each):
    bank = sites[0].build_bank(replace(agreement, fairness=last_of_each, budget=1.0))
    assert torch.equal(bank.features, everything(sites[0], "screw"))
    assert rows_by_group(bank)[0].rows == 2 * PATCHES


def test_found_groups_are_those_of_the_mean_patches(make_site, agreement):
    site = make_site("north", seed=1, screw=5)
    features = everything(site, "screw")
    means = features.reshape(5, PATCHES, -1).mean(1)
    grouping = Grouping.of({"found": 2})
    pictures = [Picture(f"{number}.png", "screw", mean) for number, mean in enumerate(means)]
    names = grouping.fit(pictures).names(pictures)
    patches = site.patches()
    stored = [picture.name for picture in patches.rows("screw").pictures]
    patches.group_by(grouping, {name: Picture(name, "screw") for name in stored})
    assert patches.groups["screw"].of_rows() == [name for name in names for _ in range(PATCHES)]


# --- in a federation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy",
    [Concatenate(), FederatedCoreset(budget=6), ExactKCenter(budget=9, candidates=4), Refinement(budget=9)],
    ids=lambda strategy: type(strategy).__name__,
)
@pytest.mark.parametrize("some", [True, False])
def test_the_global_bank_knows_the_group_of_every_row(*, sites, lights, agreement, strategy, some, make_site):
    if not some:  # a site that tells of no groups
        sites = [sites[0], make_site("south", seed=2, offset=1.0, screw=3, nut=2)]
        lights = {**lights, "south": ["unnamed"]}
    bank = simulate(sites, strategy, replace(agreement, budget=8)).bank
    for category in bank.categories:
        wanted = lights_of(sites, lights, category)
        own = bank.for_category(category)
        assert group_of_rows(own) == [wanted[tuple(row)] for row in own.features.tolist()]
    assert len(set(bank.row_site.tolist())) == 2


def test_a_federation_by_a_fairness_rule(sites, agreement, last_of_each):
    result = simulate(sites, Concatenate(), replace(agreement, fairness=last_of_each, budget=4))
    counted = {(item.site, item.category, item.group): item.rows for item in rows_by_group(result.bank)}
    assert counted == {
        ("north", "screw", "dark"): 2, ("north", "screw", "light"): 2, ("south", "screw", "dim"): 2,
        ("south", "screw", "light"): 2, ("south", "nut", "dim"): 2, ("south", "nut", "light"): 2,
    }  # fmt: skip


@pytest.mark.parametrize("strategy", [ExactKCenter(budget=9), Refinement(budget=9)], ids=["exact", "refinement"])
def test_strategies_of_several_rounds_take_no_fairness_rule(sites, agreement, last_of_each, strategy):
    agreed = replace(agreement, fairness=last_of_each)
    with pytest.raises(FederationError, match="several rounds, so sites cannot choose them by the fairness rule"):
        simulate(sites, strategy, agreed)
    with pytest.raises(BankError, match="fairness rule 'last_of_each' was agreed on, and it is for one exchange"):
        sites[0].candidates(None, agreed, count=3)


def test_int8_keeps_groups(sites, agreement):
    agreed = replace(agreement, dtype="int8")
    bank = sites[0].build_bank(agreed)
    sent = messages.bank_in(messages_of(bank), source="north")
    agreed.check(sent)
    assert sent.digest == bank.digest
    assert sent.groups == bank.groups != ()


def messages_of(bank):
    from flwr.app import RecordDict

    return RecordDict(messages.bank_records(bank))


# --- what does not go together --------------------------------------------------------------------------------------


def test_a_site_with_groups_makes_no_promise(sites, agreement, mean_privacy):
    with pytest.raises(PrivacyError, match="'row_noise' does not protect that; leave groups out of the site's"):
        sites[0].build_bank(replace(agreement, privacy="row_noise"))
    with pytest.raises(PrivacyError, match="'mean' does not protect that"):
        sites[0].noisy_sums({}, replace(agreement, privacy=mean_privacy), number=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fairness": "fair_k_center", "privacy": "row_noise"}, "'fair_k_center' needs the privacy plugin none"),
        ({"fairness": "equal", "budget": {"radius": 0.5, "rows": 9}}, "needs a number or a share of rows as budget"),
        ({"fairness": "my.own.Rule"}, "the name of an installed fairness plugin"),
        ({"fairness": 3}, "the name of an installed fairness plugin"),
        ({"fairness": "equal", "fairness_args": [1]}, "a mapping of names to values"),
    ],
)
def test_an_agreement_that_cannot_be_kept_is_refused(agreement, settings, message):
    with pytest.raises(ValueError, match=message):
        replace(agreement, **settings)


def test_an_agreement_without_a_fairness_rule_reads_and_writes_as_before(agreement):
    assert "fairness" not in agreement.to_json()
    assert Agreement.from_json(agreement.to_json(), source="here") == agreement
    fair = replace(agreement, fairness="equal", fairness_args={"minimum": 2})
    assert Agreement.from_json(fair.to_json(), source="here") == fair


def test_a_rule_that_is_not_installed_here_is_named(sites, agreement):
    from anomalib_federated.registry import PluginError

    with pytest.raises(PluginError, match="no fairness plugin named 'fairest'"):
        sites[0].build_bank(replace(agreement, fairness="fairest"))


def test_as_many_groups_as_a_site_may_have_fit_into_the_bytes_agreed():
    names = [f"{number:03d}".ljust(200, "x") for number in range(100)]
    bank = with_groups(example_bank(rows=40_000, dim=2, site="a"), names * 400)
    agreed = Agreement(space=bank.space, budget=40_000, dtype="float32")
    agreed.check(bank)
    row = 2 * 4 + 4 * 4  # features; site, category, group and weight
    assert 40_000 * row < len(bank.to_bytes()) < agreed.max_bytes == META_BYTES + 40_000 * row
    with pytest.raises(BankError, match="The bank of site 'a' has 101 groups; a site may have at most 100"):
        agreed.check(with_groups(bank, [*(names * 400)[1:], "one more"]))


# --- new images for an old bank -------------------------------------------------------------------------------------


def test_an_update_keeps_old_groups_and_takes_new_ones():
    bank = with_groups(example_bank(rows=6), ["dark", "dark", "light", "dark", "light", "light"])
    new = torch.randn(10, 8, generator=torch.Generator().manual_seed(3))
    names = ["light"] * 4 + ["dim"] * 6
    updated = update_bank(bank, new, images=2, coreset=KCenterCoreset(budget=9), method="k_center", groups=names)
    rows = [*zip(bank.features.tolist(), group_of_rows(bank), strict=True), *zip(new.tolist(), names, strict=True)]
    wanted = {tuple(row): name for row, name in rows}
    assert group_of_rows(updated) == [wanted[tuple(row)] for row in updated.features.tolist()]
    assert "dim" in updated.groups


def test_an_update_of_a_bank_with_groups_asks_for_them():
    bank, new = with_groups(example_bank(rows=2), ["dark", "light"]), torch.randn(3, 8)
    settings = {"images": 1, "coreset": KCenterCoreset(budget=9), "method": "k_center"}
    with pytest.raises(BankError, match="has the groups dark, light, but those of the new images are not told"):
        update_bank(bank, new, **settings)
    with pytest.raises(ValueError, match="groups of 2 new patches, but 3"):
        update_bank(bank, new, **settings, groups=["dark", "light"])
    assert update_bank(example_bank(rows=2), new, **settings).groups == ()


# --- real pictures --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(demo_root):
    datamodule = AutoVI(demo_root, ["tank_screw"])
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def model():
    return FederatedPatchcore(budget=20, image_size=(64, 64), visualizer=False)


def site_of_names(data):
    return sorted({name.rsplit("/", 1)[-1].split("_")[0] for name in data.train_data.samples["name"]})


def test_sites_and_pooled_training_take_groups_from_file_names(data, model):
    grouping = Grouping.of({"pattern": "^(?P<group>[a-z0-9]+)_"})
    bank = train_centralised(model, data, groups=grouping, fairness="equal")
    assert list(bank.groups) == site_of_names(data)
    assert bank.coresets == {"tank_screw": "equal"}
    counted = [item.rows for item in rows_by_group(bank)]
    assert (sum(counted), max(counted) - min(counted) <= 1) == (20, True)
    plain = train_centralised(model, data)
    assert (plain.groups, plain.coresets) == ((), {"tank_screw": "k_center"})
    sites = make_sites(data, IIDPartitioner(sites=2), extractor=model.model, groups=grouping)
    agreed = Agreement(space=model.space, budget=20)
    for site in sites:
        held = {name.rsplit("/", 1)[-1].split("_")[0] for name in site.images.samples["name"]}
        assert set(site.build_bank(agreed).groups) <= held
        site.close()


def test_found_groups_do_not_depend_on_the_order_of_pictures_or_batches(data, model):
    from anomalib_federated.evaluation.experiments.training import make_pooled_site

    banks = []
    for order in (1, -1):
        pictures = data.train_data.sample(range(len(data.train_data))[::order])
        site = make_pooled_site(model, data, groups=Grouping.of({"found": 2}))
        site.images, site.batch_size = pictures, 2 + order
        banks.append(site.build_bank(Agreement(space=model.space, budget=20)))
        site.close()
    assert banks[0].groups == banks[1].groups == ("found-1", "found-2")
    assert group_of_rows(banks[0]) == group_of_rows(banks[1])


def test_a_picture_without_a_group_is_named_before_anything_is_extracted(data, model):
    with pytest.raises(GroupingError, match=r"names no group for the picture tank_screw/"):
        make_sites(
            data, IIDPartitioner(sites=2), extractor=model.model, groups=Grouping.of({"pattern": "^(?P<group>no)_"})
        )
