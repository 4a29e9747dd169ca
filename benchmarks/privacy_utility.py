"""What a promise about pictures costs: image AUROC and AUC-sPRO@0.05 against epsilon, per mechanism.

All good training pictures of the category are learnt from, none is held out (617 of magnetic tile, 320 of screw). Noise
is seeded, which no deployment allows. Compared in the same run with the non-private detector: k-center rows of all
patches. An infinite epsilon is a mechanism with all of its rules and without its noise. Prints one JSON line.

Example:
    python benchmarks/privacy_utility.py --root DIR --category magnetic_tile --store SCRATCH --sites "^(exp[0-9])_"
    python benchmarks/privacy_utility.py --root DIR --category screw --frame part --store SCRATCH
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from circumstances import circumstances
from learnt_scores import auc_spro, distances, image_aurocs
from stored_patches import StoredPatches, stored_patches

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank.feature_space import Frame
from anomalib_federated.interfaces.privacy import SiteRows, SumPrivacy
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.privacy.gaussian import epsilon_of, mu_of
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import ConstantNoise, seeded_noise
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.privacy.adaptive_gaussian import AdaptiveGaussian
from anomalib_federated_plugins.privacy.codebook_sum import CodebookSum
from anomalib_federated_plugins.privacy.row_noise import RowNoise

DELTA = 1e-5
EPSILONS = (1.0, 2.0, 4.0, 8.0)
NO_NOISE = 1000.0
"""The epsilon that a mechanism is told where its noise is left out; its rules read the noise off the sums."""
FIRST_SITE_SEED = 100
"""Of noise that is not that of one site."""
NoiseBy = Literal["centre", "each_site", "honest_sites"]
SUMS: dict[str, type[AdaptiveGaussian | CodebookSum]] = {
    "adaptive_gaussian": AdaptiveGaussian,
    "codebook_sum": CodebookSum,
}
MECHANISMS = (*SUMS, "row_noise_random", "row_noise_k_center")


def learnt_from(privacy: SumPrivacy, sites: Sequence[Sequence[int]], stored: StoredPatches, noise: Noise) -> Learnt:
    """All rounds over sites, each given by numbers of its pictures."""
    state = privacy.start(stored.extractor.space)
    for number in range(len(privacy.shares)):
        sums = [privacy.release(_units(site, stored), state, number, noise=noise) for site in sites]
        state = privacy.learn(state, privacy.total(sums, state, number, noise=noise))
    return privacy.finish(state)


def by_sums(
    name: str, stored: StoredPatches, *, epsilon: float, seed: int, sites: Sequence[Sequence[int]], noise_by: NoiseBy
) -> Learnt:
    """What one of :data:`SUMS` learns; without noise if epsilon is infinite."""
    privacy = SUMS[name](
        epsilon=min(epsilon, NO_NOISE),
        delta=DELTA,
        noise_by=noise_by,
        honest_sites=len(sites) if noise_by == "honest_sites" else 1,
    )
    return learnt_from(privacy, sites, stored, ConstantNoise(0) if epsilon > NO_NOISE else seeded_noise(seed))


def by_random_rows(stored: StoredPatches, *, epsilon: float, seed: int) -> Learnt:
    """One random row of each picture, with noise that promises epsilon per picture (replaced by another)."""
    count, _, _, dim = stored.train.shape
    patches = stored.train.reshape(count, -1, dim)
    chosen = np.random.default_rng(seed).integers(patches.shape[1], size=count)
    rows = torch.from_numpy(patches[np.arange(count), chosen]).float()
    if epsilon > NO_NOISE:
        return Learnt(rows=rows, pictures=count)
    privacy = RowNoise(epsilon=epsilon_of(mu_of(epsilon, DELTA) / 2, DELTA), delta=DELTA, rows_per_picture=1)
    return Learnt(rows=_noisy(privacy, rows, seed), pictures=count)


def by_chosen_rows(rows: torch.Tensor, *, epsilon: float, seed: int) -> Learnt:
    """The earlier mechanism: noise on k-center rows that promises epsilon per row, and nothing per picture."""
    noisy = rows if epsilon > NO_NOISE else _noisy(RowNoise(epsilon=epsilon, delta=DELTA), rows, seed)
    return Learnt(rows=noisy, pictures=0)


def k_center_rows(stored: StoredPatches, budget: int) -> torch.Tensor:
    """The bank of the non-private detector."""
    rows = torch.from_numpy(stored.train.reshape(-1, stored.train.shape[-1])).float()
    return rows[KCenterCoreset(budget=budget).select(rows, seed=0).indices]


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One result per mechanism, sites and epsilon; progress goes to stderr."""
    extractor = PatchFeatureExtractor(Backbone(), frame=options.frame)
    stored = stored_patches(options.root, options.category, store=options.store, extractor=extractor)
    pooled = [list(range(len(stored.train)))]
    chosen = k_center_rows(stored, options.budget) if options.budget else None
    results = []
    if chosen is not None:
        results.append(_result("non_private", [Learnt(rows=chosen, pictures=0)], stored, options))
    for name in options.mechanisms:
        for epsilon in (*options.epsilons, float("inf")):
            seeds = range(options.seeds) if epsilon <= NO_NOISE else range(1)
            where = {"epsilon": epsilon if epsilon <= NO_NOISE else None}
            if name in SUMS:
                make = partial(by_sums, name, stored, epsilon=epsilon, sites=pooled, noise_by="centre")
                results.append(_result(name, _each(seeds, make), stored, options, sites=1, **where))
                results += _of_sites(name, stored, epsilon, options)
            elif name == "row_noise_random":
                made = _each(seeds, partial(by_random_rows, stored, epsilon=epsilon))
                results.append(_result(name, made, stored, options, **where))
            elif chosen is not None:
                made = _each(seeds, partial(by_chosen_rows, chosen, epsilon=epsilon))
                results.append(_result(name, made, stored, options, **where))
    return results


def _of_sites(
    name: str, stored: StoredPatches, epsilon: float, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The same pictures at several sites, which share the noise or add all of it each."""
    if not options.sites or epsilon > NO_NOISE:
        return
    sites = _sites(stored, options.sites)
    noise_bys: tuple[NoiseBy, ...] = ("honest_sites", "each_site")
    for noise_by in noise_bys:
        make = partial(by_sums, name, stored, epsilon=epsilon, sites=sites, noise_by=noise_by)
        made = _each(range(FIRST_SITE_SEED, FIRST_SITE_SEED + options.site_seeds), make)
        yield _result(name, made, stored, options, epsilon=epsilon, sites=len(sites), noise_by=noise_by)


def _sites(stored: StoredPatches, pattern: str) -> list[list[int]]:
    """Numbers of the pictures of each site, which the first group of a pattern finds in file names."""
    sites: dict[str, list[int]] = {}
    for number, path in enumerate(stored.datamodule.train_data.samples["image_path"]):
        found = re.search(pattern, Path(path).name)
        if found is None:
            msg = f"The name of {path} does not tell its site by the pattern {pattern}."
            raise ValueError(msg)
        sites.setdefault(found[1], []).append(number)
    return [sites[name] for name in sorted(sites)]


def _each(seeds: Sequence[int], make: Callable[..., Learnt]) -> Iterator[Learnt]:
    return (make(seed=seed) for seed in seeds)


def _result(
    name: str,
    made: Iterable[Learnt],
    stored: StoredPatches,
    options: argparse.Namespace,
    **where: Any,
) -> dict[str, Any]:
    """Mean and worst figures over the noise's seeds."""
    began = time.perf_counter()
    aurocs, localised = [], []
    for number, learnt in enumerate(made):
        found = distances(learnt, stored)
        aurocs.append(image_aurocs(found, stored))
        if number < options.localised_seeds and where.get("sites", 1) == 1:
            localised.append(auc_spro(found, stored))
    result = {
        "mechanism": name,
        **where,
        "seeds": len(aurocs),
        "image_auroc": {rule: float(np.mean([each[rule] for each in aurocs])) for rule in aurocs[0]},
        "worst_image_auroc": {rule: min(each[rule] for each in aurocs) for rule in aurocs[0]},
        "auc_spro@0.05": localised,
        "seconds": round((time.perf_counter() - began) / len(aurocs), 1),
    }
    print(json.dumps(result), file=sys.stderr, flush=True)
    return result


def _noisy(privacy: RowNoise, rows: torch.Tensor, seed: int) -> torch.Tensor:
    bank = replace(example_bank(rows=len(rows), dim=rows.shape[1]), features=rows)
    units = SiteRows(bank=bank, units=torch.arange(len(rows)), chosen_blindly=privacy.rows_per_picture is not None)
    privacy.report(units)  # refuses what it cannot promise
    return privacy.protect(units, noise=seeded_noise(seed)).features


def _units(site: Sequence[int], stored: StoredPatches) -> Iterator[list[torch.Tensor]]:
    return ([torch.from_numpy(stored.train[number]).float()] for number in site)


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--store", required=True, help="folder that keeps the features")
    parser.add_argument("--frame", choices=get_args(Frame), default="picture")
    parser.add_argument("--mechanisms", nargs="*", choices=MECHANISMS, default=list(MECHANISMS))
    parser.add_argument("--epsilons", type=float, nargs="+", default=list(EPSILONS))
    parser.add_argument("--seeds", type=int, default=5, help="of the noise")
    parser.add_argument("--sites", help="pattern whose first group in a file's name is its site; none: one site alone")
    parser.add_argument("--site_seeds", type=int, default=5, help="of the noise with several sites")
    parser.add_argument("--localised_seeds", type=int, default=1, help="of the noise that AUC-sPRO is measured for")
    parser.add_argument("--budget", type=int, default=10_000, help="rows of the non-private bank; 0: without it")
    options = parser.parse_args()
    report = {
        "measures": "figures on the test pictures, against epsilon per picture (added or removed)",
        "compared_with": "the non-private detector (k-center rows), and noise on rows",
        **{name: getattr(options, name) for name in ("category", "frame", "budget", "sites")},
        "delta": DELTA,
        "results": run(options),
        **circumstances("timm", "dp-accounting"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
