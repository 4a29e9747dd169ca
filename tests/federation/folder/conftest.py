"""Folders of federations, and processes that are killed while they write to one."""

import os
import signal
import sys
import traceback

import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing import example_bank

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}


@pytest.fixture
def agreed():
    return Agreement(space=example_bank().space, dtype="float32", budget=40)


@pytest.fixture
def folder(tmp_path, agreed):
    return FederationFolder.create(tmp_path / "federation", agreed)


@pytest.fixture
def bank_of():
    """``bank_of("a")`` is the bank of a site with two categories, another one for every seed."""

    def make(site, *, seed=0, categories=("nut", "screw")):
        parts = [
            example_bank(rows=6 + number, site=site, category=name, seed=seed * 10 + number, offset=float(seed))
            for number, name in enumerate(categories)
        ]
        return MemoryBank.merge(parts)

    return make


@pytest.fixture
def in_child():
    """Does something in a process of its own; returns its exit status, or minus the signal that ended it."""

    def run(action):
        pid = os.fork()
        if pid == 0:
            status = 1
            torch.set_num_threads(1)  # a forked process has none of OpenMP's threads, and would wait for them
            try:
                action()
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    return run


@pytest.fixture
def killed_at(in_child):
    """``killed_at(k, path, action)`` kills a process right before its k-th change of files under a path."""

    def run(k, path, action):
        def watched():
            steps = 0

            def hook(event, arguments):
                nonlocal steps
                writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
                if (writes or event in CHANGES) and str(path) in str(arguments[0]):
                    steps += 1
                    if steps == k:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            action()

        status = in_child(watched)
        assert status in {0, -signal.SIGKILL}
        return status != 0

    return run
