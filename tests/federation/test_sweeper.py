"""Steps that block, and the sweeps beside them."""

import threading

import pytest

from anomalib_federated.federation.sweeper import Sweeper

SECONDS = 20
PATIENCE = 10.0


class Steps:
    """Two steps; in the first sweep, the first blocks until it is freed."""

    def __init__(self):
        self.now, self.done, self.sweeps = 0.0, [], 0
        self.freed, self.stuck = threading.Event(), threading.Event()
        self.threads = []
        self.sweeper = Sweeper(self.list, clock=lambda: self.now, patience=PATIENCE, most=2)

    def list(self):
        self.sweeps += 1
        number = self.sweeps
        self.threads.append(threading.current_thread())
        yield self.block if number == 1 else (lambda: self.done.append((number, 1)))
        yield lambda: self.done.append((number, 2))

    def block(self):
        self.stuck.set()
        assert self.freed.wait(SECONDS)
        self.done.append((1, 1))

    def end(self, number):
        self.threads[number - 1].join(SECONDS)


@pytest.fixture
def steps():
    made = Steps()
    made.sweeper.sweep()
    assert made.stuck.wait(SECONDS)
    yield made
    made.freed.set()
    made.end(1)


def test_a_step_that_blocks_holds_the_others_up_for_a_while_only(steps):
    steps.now = PATIENCE - 1
    steps.sweeper.sweep()
    assert steps.sweeps == 1
    steps.now = PATIENCE
    steps.sweeper.sweep()
    steps.end(2)
    assert steps.done == [(2, 1), (2, 2)]


def test_who_was_overtaken_ends_with_its_step(steps):
    steps.now = PATIENCE
    steps.sweeper.sweep()
    steps.end(2)
    steps.freed.set()
    steps.end(1)
    assert steps.done == [(2, 1), (2, 2), (1, 1)]


def test_after_a_stop_no_step_begins(steps):
    steps.sweeper.stop()
    steps.freed.set()
    steps.end(1)
    assert steps.done == [(1, 1)]


def test_no_more_than_some_steps_are_held_up_side_by_side():
    now, began, freed, stuck = [0.0], threading.Semaphore(0), threading.Event(), []

    def block():
        stuck.append(threading.current_thread())
        began.release()
        assert freed.wait(SECONDS)

    sweeper = Sweeper(lambda: [block], clock=lambda: now[0], patience=PATIENCE, most=3)
    for _ in range(3):
        sweeper.sweep()
        assert began.acquire(timeout=SECONDS)
        now[0] += PATIENCE
    sweeper.sweep()
    assert not began.acquire(timeout=0.1)
    freed.set()
    for thread in stuck:
        thread.join(SECONDS)
    sweeper.sweep()
    assert began.acquire(timeout=SECONDS)


def test_what_a_step_raises_is_raised_by_the_next_sweep():
    def fail():
        raise SystemExit

    threads = []
    sweeper = Sweeper(
        lambda: threads.append(threading.current_thread()) or [fail], clock=lambda: 0.0, patience=PATIENCE, most=2
    )
    sweeper.sweep()
    while not threads:
        pass
    threads[0].join(SECONDS)
    with pytest.raises(SystemExit):
        sweeper.sweep()
