"""What the simple screenings refuse of honest sites that differ, and of one bad site: sites by file name, one category.

python benchmarks/simple_screenings.py --root datasets --category magnetic_tile --pattern '^(exp[0-9])_' --store DIR
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import PurePath

import torch
from stored_patches import StoredPatches, stored_patches
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import MemoryBank
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.testing import example_bank

SCREENINGS = ("finite_and_norm", "row_quota", "centroid_cosine", "site_zscore")


def attacks(rows: Tensor) -> dict[str, Tensor]:
    """What a bad site sends in place of its rows."""
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    return {
        "rows times 100": 100 * rows,
        "noise of standard deviation 10": rows + 10 * noise,
        "flipped signs": -rows,
        "a tenth of the rows, ten times each": rows[: len(rows) // 10].repeat(10, 1),
        "rows times 1.5": 1.5 * rows,
        "noise as large as the features' own spread": rows + rows.std() * noise,
    }


def sites_of(patches: StoredPatches, pattern: str, *, drawn: int) -> dict[str, Tensor]:
    """Some patches of each picture, by what the pattern finds in its name."""
    names = [PurePath(name).name for name in patches.datamodule.train_data.samples["name"]]
    found: dict[str, list[Tensor]] = {}
    for number, name in enumerate(names):
        rows = torch.from_numpy(patches.train[number]).flatten(0, 1)
        lot = torch.randperm(len(rows), generator=torch.Generator().manual_seed(number))[:drawn]
        match = re.search(pattern, name)
        found.setdefault(match[1] if match else "others", []).append(rows[lot].float())
    return {site: torch.cat(rows) for site, rows in sorted(found.items())}


def bank_of(site: str, rows: Tensor) -> MemoryBank:
    """A bank of one site; only its rows matter here."""
    return replace(example_bank(site=site, rows=len(rows), dim=rows.shape[1]), features=rows)


def tried(name: str, rows: dict[str, Tensor]) -> dict[str, object]:
    """What one screening refuses: of honest sites, in all their sets, and of each site in turn when it is bad."""
    screening, honest = registry.build("screening", name), {site: bank_of(site, own) for site, own in rows.items()}
    sets = [chosen for count in range(1, len(honest) + 1) for chosen in combinations(honest.values(), count)]
    refused = Counter[str]()
    others = 0
    for bad, own in rows.items():
        for attack, sent in attacks(own).items():
            banks = [bank_of(site, sent) if site == bad else bank for site, bank in honest.items()]
            answer = {refusal.site: float(refusal.rows.float().mean()) for refusal in screening.screen(banks)}
            refused[attack] += answer.pop(bad, 0.0) / len(rows)
            others += len(answer)
    return {
        "sets_of_honest_sites": len(sets),
        "of_which_something_is_refused": sum(bool(screening.screen(chosen)) for chosen in sets),
        "honest_sites_refused_beside_a_bad_one": others,
        "share_of_the_bad_rows_refused": {attack: round(share, 3) for attack, share in refused.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--category", required=True)
    parser.add_argument("--pattern", required=True, help="its first group names the site of a picture")
    parser.add_argument("--store", required=True)
    parser.add_argument("--coreset", default="k_center")
    parser.add_argument("--rows", type=int, default=1000, help="of each site")
    parser.add_argument("--drawn", type=int, default=200, help="patches of each picture that the rows are chosen from")
    options = parser.parse_args()
    extractor = PatchFeatureExtractor(Backbone(), image_size=(320, 320))
    patches = stored_patches(options.root, options.category, store=options.store, extractor=extractor)
    coreset = registry.build("coreset", options.coreset, budget=options.rows)
    rows = {
        site: own[coreset.select(own, seed=0).indices]
        for site, own in sites_of(patches, options.pattern, drawn=options.drawn).items()
    }
    print(json.dumps({**vars(options), **{name: tried(name, rows) for name in SCREENINGS}}))


if __name__ == "__main__":
    main()
