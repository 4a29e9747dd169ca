"""A small fairness rule that anybody can follow by hand."""

import torch

from anomalib_federated.interfaces.fairness import Fairness


class LastOfEach(Fairness):
    """Takes the last row of each group, then the last but one of each, and so on.

    Args:
        backwards: Begins with the last group.
    """

    def __init__(self, *, backwards: bool = False) -> None:
        self.backwards = backwards

    def choose(self, rows, group, *, budget, seed):
        members = [(group == number).nonzero().flatten().tolist()[::-1] for number in range(int(group.max()) + 1)]
        if self.backwards:
            members.reverse()
        longest = max(map(len, members))
        turns = [own[turn] for turn in range(longest) for own in members if turn < len(own)]
        return torch.tensor(turns[:budget])
