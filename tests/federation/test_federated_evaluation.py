"""Sites score a global bank on their own test pictures; what they tell is compared with sklearn and AUSPRO."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalib_federated import messages
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.figures import Classification, Counts, Figures, Localization
from anomalib_federated.evaluation.measuring.site_pictures import SitePictures, site_scores
from anomalib_federated.federation import Site, in_process_grid, make_agreement, score_global_bank
from anomalib_federated.federation.scores import FederatedScores, SiteScores, from_reply, to_records
from anomalib_federated.federation.scoring import METRICS
from anomalib_federated.messages import MessageError
from anomalib_federated.metrics import AUSPRO, FPR_LIMITS
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

NODES = {"north": 1, "south": 2, "west": 3}

# --- with pictures --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plants(demo_root):
    """A detector, three sites, and their test pictures: south and west share a category."""
    datamodule = AutoVI(demo_root, num_workers=0)
    datamodule.setup()
    model = FederatedPatchcore(budget=60, image_size=(96, 96), visualizer=False)
    staple, screw = (datamodule.train_data.of_category(name) for name in ("pipe_staple", "tank_screw"))
    training = {"north": staple, "south": screw.sample(range(4)), "west": screw.sample(range(4, len(screw)))}
    screws = datamodule.test_data.of_category("tank_screw")
    pictures = {
        "north": datamodule.test_data.of_category("pipe_staple"),
        "south": screws.sample(range(0, len(screws), 2)),
        "west": screws.sample(range(1, len(screws), 2)),
    }
    sites = [Site(name, data, extractor=model.model) for name, data in training.items()]
    agreement = make_agreement(model, budget=40)
    bank = FederatedCoreset(budget=60).merge(site.build_bank(agreement) for site in sites)
    return model, sites, pictures, bank


def expected_figures(model, bank, pictures):
    """Scores by the detector one picture at a time, figures by sklearn and by anomalib's kind of metric."""
    model.bank = bank
    model.eval()
    metrics = {limit: AUSPRO(fpr_limit=limit) for limit in FPR_LIMITS}
    scores, labels = [], []
    for position in range(len(pictures)):
        item = pictures[position]
        with torch.inference_mode():
            found = model.predict_batch(model.pre_processor.transform(item.image[None]), [item.category])
        scores.append(float(found.pred_score))
        labels.append(int(item.gt_label))
        for metric in metrics.values():
            metric.update(RecordedBatch(found.anomaly_map, [item.defects], [item.native_size]))
    return (
        roc_auc_score(labels, scores),
        average_precision_score(labels, scores),
        [float(metric.compute()) for metric in metrics.values()],
    )


class RecordedBatch:
    def __init__(self, anomaly_map, defects, native_size):
        self.anomaly_map, self.defects, self.native_size = anomaly_map, defects, native_size


def test_each_site_tells_the_figures_of_its_own_pictures(plants):
    model, sites, pictures, bank = plants
    grid = in_process_grid(sites, score=SitePictures(model, pictures, least_pictures=1))
    scores = score_global_bank(grid, bank, NODES, timeout=9)
    assert scores.left_out == {}
    assert {site: list(found) for site, found in scores.sites.items()} == {
        "north": ["pipe_staple"], "south": ["tank_screw"], "west": ["tank_screw"],
    }  # fmt: skip
    for site in sites:
        (found,) = scores.sites[site.name].values()
        own = pictures[site.name]
        auroc, precision, auc_spro = expected_figures(model, bank, own)
        assert found.auroc == pytest.approx(auroc, abs=1e-12)
        assert found.average_precision == pytest.approx(precision, abs=1e-12)
        np.testing.assert_allclose(found.auc_spro, auc_spro, atol=1e-5)  # float32, one picture at a time
        assert (found.good, found.defective) == tuple(np.bincount(own.samples["label_index"], minlength=2))
    assert 0 < scores.traffic["west"]["tank_screw"].up < 400


def test_another_rule_for_the_score_travels_with_the_question(plants):
    model, sites, pictures, bank = plants
    grid = in_process_grid(sites, score=SitePictures(model, pictures, least_pictures=1))
    rules = [
        score_global_bank(grid, bank, NODES, scorer=PatchScorer(ImageScore(name))) for name in ("smoothed_max", "max")
    ]
    assert model.scorer.image_score.rule == "max"
    first, second = (found.sites["north"]["pipe_staple"] for found in rules)
    assert first.auc_spro == second.auc_spro
    assert (first.auroc, first.average_precision) != (second.auroc, second.average_precision)


def test_a_site_with_few_or_only_good_pictures_tells_how_many_it_has(plants):
    model, sites, pictures, bank = plants
    good = np.flatnonzero(pictures["west"].samples["label_index"] == 0).tolist()
    own = {"north": pictures["north"], "west": pictures["west"].sample(good)}
    few = int((pictures["north"].samples["label_index"] == 0).sum())
    grid = in_process_grid(sites, score=SitePictures(model, own, least_pictures=few + 1))
    scores = score_global_bank(grid, bank, NODES)
    north, west = scores.sites["north"]["pipe_staple"], scores.sites["west"]["tank_screw"]
    assert (north.good, north.auroc, north.average_precision, north.auc_spro) == (few, None, None, None)
    assert (west.good, west.defective, west.auroc, west.auc_spro) == (len(good), 0, None, None)
    assert scores.sites["south"] == {}
    assert scores.spread("tank_screw", "auroc") is None


# --- without pictures -----------------------------------------------------------------------------------------------


@pytest.fixture
def sites(make_site):
    return [
        make_site("north", seed=1, screw=3),
        make_site("south", seed=2, screw=2, nut=2),
        make_site("west", seed=3, nut=1),
    ]


@pytest.fixture
def bank(sites, agreement):
    return FederatedCoreset(budget=4).merge(site.build_bank(agreement) for site in sites)


FULL = SiteScores(good=6, defective=9, auroc=0.75, average_precision=0.5, auc_spro=(0.0, 0.25, 0.5, 0.75, 1.0))


def told(site, bank, scorer):
    return dict.fromkeys(bank.categories, FULL)


def test_what_leaves_a_site_is_declared(sites, bank):
    grid = in_process_grid(sites, score=told)
    content = RecordDict({
        **messages.bank_records(bank),
        messages.CONFIG: ConfigRecord({"score": "max", "num_neighbors": 9, "site_quorum": 1}),
    })  # fmt: skip
    (reply,) = grid.send_and_receive([Message(content, dst_node_id=2, message_type=METRICS)])
    assert set(reply.content) == {"site", "good", "defective", "auroc", "average_precision", "auc_spro"}
    assert dict(reply.content["site"]) == {"name": "south"}
    for name, record in reply.content.items():
        if name != "site":
            assert set(record) == {"nut", "screw"}
    assert from_reply(reply, ["nut", "screw"])["nut"].auc_spro == FULL.auc_spro


def test_a_site_that_offers_no_figures_is_left_out(sites, bank):
    scores = score_global_bank(in_process_grid(sites), bank, NODES)
    assert scores.sites == {}
    assert set(scores.left_out) == {"north", "south", "west"}
    assert "Node 2 failed: " in scores.left_out["south"]


def test_a_site_that_fails_leaves_the_others(sites, bank):
    def breaks(site, bank, rule):
        if site.name == "north":
            msg = "the disk is gone"
            raise OSError(msg)
        return told(site, bank, rule)

    scores = score_global_bank(in_process_grid(sites, score=breaks), bank, NODES)
    assert list(scores.sites) == ["south", "west"]
    assert "Node 1 failed: the disk is gone" in scores.left_out["north"]


def test_a_rule_that_nobody_knows_is_refused_by_the_site(sites, bank):
    grid = in_process_grid(sites, score=told)
    content = RecordDict({
        **messages.bank_records(bank),
        messages.CONFIG: ConfigRecord({"score": "eval\x1b", "num_neighbors": 9, "site_quorum": 1}),
    })  # fmt: skip
    (reply,) = grid.send_and_receive([Message(content, dst_node_id=1, message_type=METRICS)])
    assert "no image score rule 'eval\\x1b', as the server asks for; it may be max, " in reply.error.reason


def reply_with(**records):
    question = Message(RecordDict(), dst_node_id=2, message_type=METRICS)
    content = {name: MetricRecord(dict(values)) for name, values in to_records({"nut": FULL}).items()}
    content |= {messages.SITE: messages.site_record("south")}
    content |= {name: MetricRecord(values) for name, values in records.items()}
    return Message(RecordDict(content), reply_to=question)


@pytest.mark.parametrize(
    ("records", "complaint"),
    [
        ({"auroc": {"nut": 1.5}}, "impossible figure .nut, auroc.: Input should be less than or equal to 1"),
        ({"auroc": {"nut": float("nan")}}, "impossible figure .nut, auroc"),
        ({"auroc": {"nut": [0.5]}}, "impossible figure .nut, auroc"),
        ({"auc_spro": {"nut": [0.5] * 4}}, "impossible figure .nut, auc_spro"),
        ({"auc_spro": {"nut": [0.5] * 6}}, "impossible figure .nut, auc_spro"),
        ({"auc_spro": {"nut": [0.5] * 4 + [2.0]}}, "impossible figure .nut, auc_spro"),
        ({"auc_spro": {"nut": 0.5}}, "impossible figure .nut, auc_spro"),
        ({"good": {"nut": 0}}, "figures need good and defective test pictures"),
        ({"good": {"nut": -1}}, "impossible figure .nut, good"),
        ({"good": {"nut": 1.0}}, "impossible figure .nut, good"),
        ({"good": {}}, "impossible figure .nut, good.: Field required"),
        ({"defective": {"nut": 0}}, "figures need good and defective test pictures"),
        ({"auroc": {"bo\x1blt": 0.5}}, r"figure of 'bo\\x1blt', about which it was not asked"),
    ],
)
def test_impossible_figures_are_refused(records, complaint):
    with pytest.raises(MessageError, match=f"Site 'south' tells .*{complaint}") as caught:
        from_reply(reply_with(**records), ["nut"])
    assert str(caught.value).isprintable()


def test_a_missing_record_is_refused():
    reply = reply_with()
    assert from_reply(reply, ["nut", "screw"]) == {"nut": FULL}
    del reply.content["auroc"]
    with pytest.raises(MessageError, match="has no MetricRecord named 'auroc'"):
        from_reply(reply, ["nut"])


def test_a_spread_is_weighted_by_pictures_and_names_the_worst():
    values = {"c": (0.9, 10, 10), "a": (0.5, 5, 5), "b": (0.5, 30, 40)}
    found = {
        site: {"nut": SiteScores(good=good, defective=bad, auroc=auroc)} for site, (auroc, good, bad) in values.items()
    }
    found["d"] = {"nut": SiteScores(good=1, defective=0), "bolt": FULL}
    scores = FederatedScores(sites=found, left_out={}, traffic={})
    spread = scores.spread("nut", "auroc")
    assert spread.mean == pytest.approx((0.9 * 20 + 0.5 * 10 + 0.5 * 70) / 100)
    assert (spread.worst, spread.worst_site, spread.sites) == (0.5, "a", 3)
    assert spread.spread == pytest.approx(0.4)
    bolts = [scores.spread("bolt", f"auc_spro@{limit}").mean for limit in FPR_LIMITS]
    assert all(low < high for low, high in pairwise(bolts))
    with pytest.raises(KeyError, match="f1"):
        scores.spread("nut", "f1")


@pytest.mark.parametrize(("good", "defective"), [(4, 9), (9, 4), (0, 9)])
def test_below_the_least_number_of_pictures_only_counts_are_told(good, defective):
    figures = Figures(
        counts=Counts(good=good, defective=defective, channels=1),
        classification=Classification(auroc=0.5, average_precision=0.5),
        localization=Localization(auc_spro={str(limit): 0.5 for limit in FPR_LIMITS}),
        intervals={},
    )
    assert site_scores(figures, least_pictures=5) == SiteScores(good=good, defective=defective)
    if min(good, defective) == 4:
        assert site_scores(figures, least_pictures=4).auc_spro == (0.5,) * 5


def test_at_least_one_picture_is_needed(plants):
    with pytest.raises(ValueError, match="least_pictures is 0"):
        SitePictures(plants[0], {}, least_pictures=0)
