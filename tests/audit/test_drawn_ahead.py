"""Noise that is drawn ahead is the same noise, and none of it comes twice."""

import numpy as np
from scipy.stats import kstest

from anomalib_federated.audit.drawn_ahead import FIRST_BLOCK, DrawnAhead, Silence
from anomalib_federated.privacy.noise import STEPS


def test_numbers_come_once_and_are_gaussian():
    noise = DrawnAhead(seed=0)
    counts = [1, 5, FIRST_BLOCK, 0, 3 * FIRST_BLOCK, 7, 5000]
    drawn = [noise.draw(count) for count in counts]
    assert [len(each) for each in drawn] == counts
    together = np.concatenate(drawn)
    assert len(np.unique(together)) > 0.99 * len(together)
    assert kstest(together / STEPS, "norm").pvalue > 1e-3


def test_what_was_given_out_is_not_shared():
    noise = DrawnAhead(seed=0)
    noise.draw(3)[:] = 0
    assert noise.draw(3).all()


def test_seeds_decide():
    first, again, other = (DrawnAhead(seed=seed).draw(9) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_silence():
    assert not Silence().draw(5).any()
