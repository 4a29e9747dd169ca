"""The checked selection that every fairness rule inherits."""

import pytest
import torch

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.registry import PluginError
from anomalib_federated.testing.rows import BlockRows

LINE = torch.tensor([[0.0], [1.0], [2.0], [10.0], [14.0]])
GROUP = torch.tensor([0, 0, 1, 1, 2])


class Answers(Fairness):
    """Answers what it was made with."""

    def __init__(self, answer):
        self.answer = answer

    def choose(self, rows, group, *, budget, seed):
        return self.answer


def chosen(*rows):
    return Answers(torch.tensor(rows)).select(LINE, GROUP, budget=len(rows))


def test_figures_by_hand():
    selection = chosen(1, 3)
    assert selection.indices.tolist() == [1, 3]
    assert selection.quotas.tolist() == [1, 1, 0]
    assert selection.radius.tolist() == [1.0, 1.0, 4.0]  # 2 is nearer to 1 than to 10
    assert selection.own_radius.tolist() == [1.0, 8.0, float("inf")]


def test_all_rows_cover_themselves():
    for budget in (5, 6, 10**9):
        selection = Answers(None).select(LINE, GROUP, budget=budget)  # which is not asked
        assert selection.indices.tolist() == [0, 1, 2, 3, 4]
        assert selection.quotas.tolist() == [2, 2, 1]
        assert selection.radius.tolist() == selection.own_radius.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_any_integer_type_numbers_groups(dtype):
    selection = Answers(torch.tensor([1, 3])).select(BlockRows(LINE, step=2), GROUP.to(dtype), budget=2)
    assert selection.radius.tolist() == [1.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param([1, 3], "it answered list", id="list"),
        pytest.param(torch.tensor([1, 3], dtype=torch.int32), r"it answered \(2,\) torch.int32", id="int32"),
        pytest.param(torch.tensor([[1, 3]]), r"it answered \(1, 2\) torch.int64", id="2-D"),
        pytest.param(torch.tensor([1]), "it chose 1", id="too few"),
        pytest.param(torch.tensor([1, 2, 3]), "it chose 3", id="too many"),
        pytest.param(torch.tensor([1, 5]), r"it chose a row outside 0 \.\. 4", id="beyond"),
        pytest.param(torch.tensor([-1, 3]), r"it chose a row outside 0 \.\. 4", id="from the end"),
        pytest.param(torch.tensor([3, 3]), "only 1 of its rows are distinct", id="twice"),
    ],
)
def test_a_wrong_answer_is_the_plugins_fault(answer, problem):
    with pytest.raises(
        PluginError, match=rf"rule Answers was to choose 2 of 5 rows .*, but {problem}; repair the plugin"
    ):
        Answers(answer).select(LINE, GROUP, budget=2)


@pytest.mark.parametrize(
    ("features", "group", "budget", "error", "problem"),
    [
        ([1.0], GROUP, 2, TypeError, "must be a torch tensor or Rows"),
        (LINE, GROUP.tolist(), 2, TypeError, "groups of the rows must be a torch tensor, got list"),
        (LINE.flatten(), GROUP, 2, ValueError, r"must be \(n, d\)"),
        (LINE * torch.nan, GROUP, 2, ValueError, "NaN, infinite or absurdly large in row 0"),
        (LINE * 1e20, GROUP, 2, ValueError, "absurdly large in row 1"),
        (LINE, GROUP[1:], 2, ValueError, r"must be \(5,\) and of an integer type, got \(4,\)"),
        (LINE, GROUP[:, None], 2, ValueError, r"must be \(5,\) and of an integer type, got \(5, 1\)"),
        (LINE, GROUP.float(), 2, ValueError, r"integer type, got \(5,\) torch.float32"),
        (LINE, GROUP > 0, 2, ValueError, r"integer type, got \(5,\) torch.bool"),
        (LINE, GROUP - 1, 2, ValueError, "but a row is of group -1; number those that have rows anew"),
        (LINE, GROUP + 1, 2, ValueError, "but no row is of group 0; number"),
        (LINE, GROUP * 2, 2, ValueError, "but no row is of group 1; number"),
        (LINE, GROUP, 0, ValueError, "budget of a fair selection is 0; give a number of rows"),
        (LINE, GROUP, 2.0, ValueError, "budget of a fair selection is 2.0"),
        (LINE, GROUP, True, ValueError, "budget of a fair selection is True"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(features, group, budget, error, problem):
    with pytest.raises(error, match=problem):
        Answers(torch.tensor([1, 3])).select(features, group, budget=budget)


def test_unused_numbers_are_refused_however_many():
    with pytest.raises(ValueError, match="no row is of group 3"):
        Answers(torch.tensor([1, 3])).select(LINE, torch.tensor([0, 1, 2, 10**15, 10**15]), budget=2)
