"""What every partitioner promises, see :class:`anomalib_federated.interfaces.partitioner.Partitioner`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.randomness import under_two_random_states

Plugin = type[Partitioner]

SEEDS = (0, 1, 2)


def every_image_is_at_exactly_one_site(plugin: Plugin) -> None:
    """Disjoint and complete."""
    images = _images()
    for seed in SEEDS:
        held = sorted(position for part in plugin().partition(images, seed=seed).values() for position in part)
        twice = sorted({first for first, second in pairwise(held) if first == second})
        assert not twice, f"every image must be at exactly one site, but the images {twice[:9]} are held twice"
        lost = sorted(set(range(len(images))) - set(held))
        assert not lost, f"every image must be at exactly one site, but the images {lost[:9]} are at none"
        beyond = sorted(set(held) - set(range(len(images))))
        assert not beyond, f"positions must be in 0 .. {len(images) - 1}, got {beyond[:9]}"


def no_site_is_empty(plugin: Plugin) -> None:
    """A site without images cannot train."""
    for seed in SEEDS:
        parts = plugin().partition(_images(), seed=seed)
        empty = [site for site, part in parts.items() if not part]
        assert parts, "there must be at least one site"
        assert not empty, f"every site must hold an image; leave out {', '.join(empty)}"


def sites_are_named_and_positions_are_ints(plugin: Plugin) -> None:
    """Plain names and plain ints, so that both can be written to a file."""
    for site, part in plugin().partition(_images()).items():
        assert isinstance(site, str), f"names of sites must be str, got {site!r}"
        assert site.strip(), f"names of sites must not be empty, got {site!r}"
        assert site.isprintable(), f"names of sites must be printable, got {site!r}"
        assert isinstance(part, list), f"the images of a site must be a list, got {type(part).__name__}"
        kinds = {type(position).__name__ for position in part} - {"int"}
        assert not kinds, f"positions must be plain ints, got {', '.join(sorted(kinds))}"


def equal_seeds_give_equal_parts(plugin: Plugin) -> None:
    """Of one object called twice, and of two objects."""
    partitioner, images = plugin(), _images()
    for seed in SEEDS:
        first = partitioner.partition(images, seed=seed)
        assert partitioner.partition(images, seed=seed) == first, "a second call with the same seed must give the same"
        assert plugin().partition(images, seed=seed) == first, "a second object with the same seed must give the same"


def the_order_of_images_does_not_matter(plugin: Plugin) -> None:
    """Which images share a site is decided by what they are, not by where they stand in the list."""
    images = _images()
    shuffled = [images[i] for i in np.random.default_rng(0).permutation(len(images))]
    for seed in SEEDS:
        expected, found = (_groups(plugin(), given, seed) for given in (images, shuffled))
        assert found == expected, (
            f"with seed={seed} the same images in another order must share sites in the same way; sort them first"
        )


def the_images_stay_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    images = _images()
    plugin().partition(images)
    assert images == _images(), "partition must not change the list of images that it is given"


def no_image_at_all_is_refused(plugin: Plugin) -> None:
    """Nothing to share out: ``ValueError``."""
    try:
        plugin().partition([])
    except ValueError:
        return
    msg = "an empty list of images must be refused with a ValueError"
    raise AssertionError(msg)


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from ``seed`` alone, and nobody else's chance is disturbed."""
    first, second = under_two_random_states(lambda: plugin().partition(_images(), seed=3))
    assert first == second, "another global random state must give the same parts"


def what_a_name_tells_is_what_is_done(plugin: Plugin) -> None:
    """``site_of`` of a training image is the site that gets it, or ``None``."""
    partitioner, images = plugin(), _images()
    for site, part in partitioner.partition(images).items():
        told = {partitioner.site_of(images[position]) for position in part} - {None, site}
        assert not told, f"site_of says {', '.join(sorted(map(repr, told)))} of images that partition gives to {site!r}"


CHECKS = (
    can_be_made_without_arguments,
    the_images_stay_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
    every_image_is_at_exactly_one_site,
    no_site_is_empty,
    sites_are_named_and_positions_are_ints,
    equal_seeds_give_equal_parts,
    the_order_of_images_does_not_matter,
    no_image_at_all_is_refused,
    the_global_random_state_plays_no_part,
    what_a_name_tells_is_what_is_done,
)


def _images() -> list[TrainingImage]:
    """Unequal categories, in the order in which folders are read; file names begin with a camera's name."""
    counts = {"nut": 11, "screw": 30, "washer": 1, "wing": 8}
    return [
        TrainingImage(category, f"{category}/train/good/s{number % 3 + 1}_{number:03}.png")
        for category, count in counts.items()
        for number in range(count)
    ]


def _groups(partitioner: Partitioner, images: list[TrainingImage], seed: int) -> set[frozenset[TrainingImage]]:
    return {frozenset(images[i] for i in part) for part in partitioner.partition(images, seed=seed).values()}
