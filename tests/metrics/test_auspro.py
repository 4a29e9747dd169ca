"""AUC-sPRO as an anomalib metric against the function on whole arrays."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from anomalib.metrics import AnomalibMetric, Evaluator

from anomalib_federated.metrics import AUSPRO, FPR_LIMITS, Defect, auc_spro

LIMIT = 0.3
SIZES = [(12, 16), (9, 20), (12, 16), (8, 8), (31, 7), (12, 16)]


def _defects(rng, size):
    masks = [rng.random(size) < share for share in (0.1, 0.3)]
    return [Defect(mask, max(int(mask.sum()) // 2, 1)) for mask in masks if mask.any()]


def _images(seed=0):
    """Maps at 8 x 8, defects at each image's own size: every second image is good."""
    rng = np.random.default_rng(seed)
    maps = torch.from_numpy(rng.random((len(SIZES), 1, 8, 8)).astype(np.float32))
    return maps, [_defects(rng, size) if index % 2 else [] for index, size in enumerate(SIZES)], SIZES


def _batch(images, part=slice(None)):
    maps, defects, sizes = images
    return SimpleNamespace(anomaly_map=maps[part], defects=defects[part], native_size=sizes[part])


def _updated(*parts, images=None, **kwargs):
    metric = AUSPRO(LIMIT, **kwargs)
    for part in parts or (slice(None),):
        metric.update(_batch(images or _images(), part))
    return metric


def _bilinear(small, size):
    """Bilinear with half-pixel centres, weight by weight."""

    def weights(old, new):
        centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        return np.clip(1 - np.abs(centre[:, None] - np.arange(old)), 0, None)

    return weights(small.shape[0], size[0]) @ small.astype(np.float64) @ weights(small.shape[1], size[1]).T


def test_equals_the_function_on_maps_resized_by_hand():
    maps, defects, sizes = _images()
    resized = [_bilinear(small[0].numpy(), size) for small, size in zip(maps, sizes, strict=True)]
    expected = auc_spro(resized, defects)
    metric = AUSPRO(LIMIT)
    metric.update(SimpleNamespace(anomaly_map=maps.double(), defects=defects, native_size=sizes))
    assert metric.compute().item() == pytest.approx(expected[LIMIT], abs=1e-12)
    assert metric.auc() == pytest.approx(expected, abs=1e-12)


def test_map_at_native_size_is_not_touched():
    rng = np.random.default_rng(1)
    maps = rng.integers(3, size=(2, 9, 5)).astype(np.float32)
    defects = [_defects(rng, (9, 5)), []]
    metric = AUSPRO()
    metric.update(SimpleNamespace(anomaly_map=torch.from_numpy(maps), defects=defects, native_size=[(9, 5)] * 2))
    assert metric.auc() == auc_spro(maps, defects)


def test_value_is_a_float64_scalar_at_the_limit():
    metric = _updated()
    value = metric.compute()
    assert (value.dtype, value.shape) == (torch.float64, ())
    assert value.item() == metric.auc([LIMIT])[LIMIT]
    assert list(metric.auc()) == list(FPR_LIMITS)


def test_half_precision_maps_are_resized_in_single():
    maps, defects, sizes = _images()
    rounded = maps.half()
    images = rounded, defects, sizes
    assert _updated(images=images).compute() == _updated(images=(rounded.float(), defects, sizes)).compute()


@pytest.mark.parametrize("parts", [[slice(0, 3), slice(3, None)], [slice(i, i + 1) for i in range(len(SIZES))]])
def test_batches_add_up_to_the_whole(parts):
    assert _updated(*parts).auc() == pytest.approx(_updated().auc(), abs=1e-12)


def test_merged_halves_equal_the_whole():
    first, second = _updated(slice(0, 3)), _updated(slice(3, None))
    first.merge_state(second)
    assert first.auc() == pytest.approx(_updated().auc(), abs=1e-12)


def test_processes_are_gathered_and_let_go():
    local, remote = _updated(slice(0, 2), slice(2, 3)), _updated(slice(3, None))
    # What the other process would send for each state; torchmetrics asks state by state, in this order.
    states = ("normal_scores", "channel_scores", "saturation_areas")

    def gather():
        sent = iter([torch.cat(getattr(remote, state)) for state in states])
        return lambda mine, group: [mine, next(sent)]

    alone, whole = local.auc(), _updated().auc()
    local.distributed_available_fn = lambda: True
    local.dist_sync_fn = gather()
    assert local.auc() == pytest.approx(whole, abs=1e-12)
    local.dist_sync_fn = gather()
    assert local.compute().item() == pytest.approx(whole[LIMIT], abs=1e-12)
    local.dist_sync_fn = gather()
    with local.sync_context(dist_sync_fn=local.dist_sync_fn):
        assert local.auc() == pytest.approx(whole, abs=1e-12)
    local.distributed_available_fn = lambda: False
    assert local.auc() == alone
    assert alone != whole


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = AUSPRO(LIMIT)
    values = [metric(_batch(_images(), part)) for part in (slice(0, 3), slice(3, None))]
    assert values == [_updated(slice(0, 3)).compute(), _updated(slice(3, None)).compute()]
    assert metric.compute().item() == pytest.approx(_updated().compute().item(), abs=1e-12)


def test_clone_and_pickle_keep_value_and_settings():
    metric = _updated(prefix="pixel_")
    for copy in (metric.clone(), pickle.loads(pickle.dumps(metric))):  # noqa: S301 - our own bytes
        assert copy.compute() == metric.compute()
        assert (copy.fpr_limit, copy.name) == (LIMIT, "pixel_AUSPRO")
        copy.reset()
    assert metric.auc() == _updated().auc()


def test_reset_forgets():
    metric = _updated()
    metric.reset()
    metric.update(_batch(_images(seed=5)))
    assert metric.compute() == _updated(images=_images(seed=5)).compute()


def test_torchmetrics_habits():
    metric = _updated()
    assert isinstance(metric, AnomalibMetric)
    assert metric.state_dict() == {}
    assert isinstance(hash(metric), int)
    assert (metric.higher_is_better, metric.is_differentiable, metric.full_state_update) == (True, False, False)
    assert metric.default_fields == ("anomaly_map", "defects", "native_size")
    assert len(Evaluator(test_metrics=[metric]).test_metrics) == 1


def test_maps_may_need_gradients_and_stay_as_they_are():
    maps, defects, sizes = _images()
    before = maps.clone()
    metric = AUSPRO(LIMIT)
    metric(_batch((maps.requires_grad_(), defects, sizes)))
    assert torch.equal(maps, before)
    assert metric.compute() == _updated().compute()


def test_only_good_images_in_a_batch():
    metric = AUSPRO(LIMIT)
    maps, defects, sizes = _images()
    for part in (slice(0, 6, 2), slice(1, 6, 2)):
        metric.update(_batch((maps, defects, sizes), part))
    assert metric.auc() == pytest.approx(_updated().auc(), abs=1e-12)


class TestErrors:
    def test_nothing_to_score(self):
        with pytest.raises(ValueError, match="at least one image"):
            AUSPRO().compute()
        with pytest.raises(ValueError, match="at least one defect"):
            _updated(slice(0, 1)).compute()

    def test_lenient_without_defects_is_nan(self):
        metric = _updated(slice(0, 1), strict=False)
        assert metric.compute().isnan()
        metric.update(_batch(_images(), slice(1, 6)))
        assert metric.compute() == _updated().compute()

    @pytest.mark.parametrize("limit", [0, 1.5, float("nan")])
    def test_limit(self, limit):
        with pytest.raises(ValueError, match="fpr_limits"):
            AUSPRO(limit)
        with pytest.raises(ValueError, match="fpr_limits"):
            _updated().auc([limit])

    @pytest.mark.parametrize("field", ["anomaly_map", "defects", "native_size"])
    def test_missing_field(self, field):
        batch = SimpleNamespace(**{**vars(_batch(_images())), field: None})
        with pytest.raises(ValueError, match=field):
            AUSPRO().update(batch)
        lenient = AUSPRO(strict=False)
        lenient.update(batch)
        assert lenient.compute() is None

    @pytest.mark.parametrize(
        ("changes", "error", "said"),
        [
            ({"anomaly_map": torch.zeros(6, 2, 8, 8)}, ValueError, r"\(6, 2, 8, 8\)"),
            ({"anomaly_map": torch.zeros(8, 8)}, ValueError, r"\(8, 8\)"),
            ({"anomaly_map": torch.zeros(6, 8, 8, dtype=torch.int64)}, TypeError, "torch.int64"),
            ({"anomaly_map": np.zeros((6, 8, 8))}, TypeError, "ndarray"),
            ({"anomaly_map": torch.zeros(5, 8, 8)}, ValueError, "5 anomaly maps, 6 lists of defects and 6 native"),
            ({"anomaly_map": torch.full((6, 8, 8), torch.nan)}, ValueError, "image 0: .* NaN"),
            ({"defects": [[]]}, ValueError, "1 lists of defects"),
            ({"native_size": SIZES[:1]}, ValueError, "1 native sizes"),
            ({"native_size": [*SIZES[:3], (9, 9), *SIZES[4:]]}, ValueError, r"image 3: .* \(9, 9\) .* \(8, 8\)"),
            ({"native_size": [(8,)] * 6}, ValueError, "image 0: native_size"),
            ({"native_size": [(8, 0)] * 6}, ValueError, "image 0: native_size"),
            ({"native_size": [(8, 7.5)] * 6}, ValueError, "image 0: native_size"),
        ],
    )
    def test_refused_batch_leaves_no_trace(self, changes, error, said):
        metric = _updated()
        with pytest.raises(error, match=said):
            metric.update(SimpleNamespace(**{**vars(_batch(_images())), **changes}))
        assert metric.auc() == _updated().auc()
