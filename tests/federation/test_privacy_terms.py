"""A site's terms are checked when they are read."""

from pathlib import Path

import pytest

from anomalib_federated.federation.privacy_terms import PrivacyTerms

FOLDER = Path("privacy")


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"epsilon": 1.0, "delta": 1.0}, "delta"),
        ({"noise_by": "somebody"}, "noise_by"),
        ({"noise_by": "honest_sites"}, "honest_sites is 1"),
        ({"honest_sites": 3}, "honest_sites is 3"),
        ({"unit": "part"}, r"needs privacy\.part"),
        ({"part": r"(?P<part>\d+)"}, "'picture' has none"),
        ({"unit": "part", "part": r"(\d+)"}, "no group 'part'"),
        ({"unit": "part", "part": "(?P<part>"}, "no regular expression"),
        ({"epsilon": 1.0, "unit": "row"}, "unit"),
        ({"epsilon": 1.0, "adjacency": "swap"}, "adjacency"),
    ],
)
def test_impossible(terms, said):
    with pytest.raises(ValueError, match=said):
        PrivacyTerms(folder=FOLDER, **terms)


def test_pictures_are_units_of_their_own_unless_a_pattern_says_parts():
    assert PrivacyTerms(folder=FOLDER).unit_of("a/b.png") == "a/b.png"
    terms = PrivacyTerms(folder=FOLDER, unit="part", part=r"^(?P<part>\d+)_")
    assert terms.unit_of("x/12_left.png") == terms.unit_of("y/12_right.png") == "12"
    with pytest.raises(ValueError, match=r"left\.png names no part"):
        terms.unit_of("x/left.png")
