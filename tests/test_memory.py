"""Sizes as people write them, and what is left of a limit."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from anomalib_federated.memory import MemoryLimit, MemoryLimitError, parse_bytes, selection_bytes, used_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("4 gb", 4 * 10**9),
        ("4GiB", 4 * 2**30),
        ("1.5MB", 1_500_000),
        ("0.5KiB", 512),
        ("2TB", 2 * 10**12),
        ("77", 77),
        ("77B", 77),
        (4096, 4096),
    ],
)
def test_sizes(text, size):
    assert parse_bytes(text) == size
    assert MemoryLimit.of(text).limit == size


@pytest.mark.parametrize("text", ["", "GB", "4G", "-4GB", "0", 0, -1, "4GB4", "1e9", "nan", True, "0.1B", 1.5j])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r"memory is .*; give a size such as 4GB"):
        parse_bytes(text)


def test_children_count():
    alone = used_bytes()
    code = "print('ready', flush=True); data = b'x' * 80_000_000; print('there', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(2)] == ["ready\n", "there\n"]
        together = used_bytes()
        child.communicate("\n")
    assert together - alone > 80_000_000


def test_what_is_left():
    used = psutil.Process().memory_info().rss
    left = MemoryLimit(used + 10**9).check(3 * 10**8)
    assert left == pytest.approx(7 * 10**8, abs=5 * 10**7)
    available = psutil.virtual_memory().available
    assert MemoryLimit().check() == pytest.approx(available / 2, rel=0.2)
    assert MemoryLimit().check(10**15) == 0


def test_a_limit_that_is_exceeded_says_what_to_lower():
    with pytest.raises(
        MemoryLimitError, match=r"use [\d,]+ MB and need 0 MB more, but the memory limit is 10 MB"
    ) as it:
        MemoryLimit.of("10MB").check()
    assert "lower train_batch_size, image_size or num_workers" in str(it.value)


def test_a_selection_needs_more_for_more_rows_and_picks():
    small = selection_bytes((1000, 10), picks=10)
    assert selection_bytes((10**6, 10), picks=10) - small == 999_000 * 32
    assert selection_bytes((1000, 10), picks=1010) - small == 4 * 10 * 4 * 1000
