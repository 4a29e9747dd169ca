"""What leaves a site: what docs/explanation/threat_model.md declares, and nothing else.

Every answer of the real apps to every question of the strategies is taken as Flower's own bytes and taken apart. The
pictures carry secrets in their names, in the path to them and in their pixels; none of them may be among these bytes.
"""

import base64
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message, MessageType, RecordDict
from flwr.common.serde import recorddict_to_proto
from pandas import DataFrame
from PIL import Image
from safetensors.torch import load

from anomalib_federated import messages
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.evaluation.measuring.site_pictures import SitePictures
from anomalib_federated.federation import (
    Site,
    client_app,
    in_process_grid,
    make_agreement,
    run_federation,
    score_global_bank,
)  # fmt: skip
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.federation.privacy_guard import PrivacyGuard
from anomalib_federated.federation.privacy_terms import PrivacyTerms
from anomalib_federated.flower_app.client import tell_no_paths
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.noisy_sums import NoisySums
from anomalib_federated_plugins.strategy.refinement import Refinement
from tests.federation.pieces import files_in

DOCUMENT = Path(__file__).parents[2] / "docs" / "explanation" / "threat_model.md"
SECRETS = ["folder-7f3a", "picture-91bc", "PIXELS-OF-PLANT-"]
FOLDER, PICTURE, PIXELS = SECRETS
SHORTEST = 12
"""Bytes of a picture that may not be found in a row."""


ABSENT_WITHOUT = {"scales", "privacy.sites", "privacy.report", "row_place", "projection.*"}
"""Come with int8, with a privacy plugin, and in a bank of sums alone."""


# --- what is declared -----------------------------------------------------------------------------------------------


def table(title):
    """The table below a heading: of each row, the names in backquotes in each of its cells."""
    section = DOCUMENT.read_text().split(f"### {title}\n")[1].split("\n#")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]


def declared_records():
    """Per question, the records of its answer."""
    found = defaultdict(set)
    for questions, records, _ in table("In an answer"):
        for question in questions:
            found[question].update(records)
    return dict(found)


# --- what is sent ---------------------------------------------------------------------------------------------------


class Listening(InProcessGrid):
    """Keeps every answer, with the type of its question."""

    def __init__(self, grid):
        super().__init__(grid.app, {node: context.node_config for node, context in grid.contexts.items()})
        self.heard = []

    def _answer(self, message):
        reply = super()._answer(message)
        self.heard.append((message.metadata.message_type, reply))
        return reply


def make_pictures(folder, *, count, seed):
    """Noise whose rows begin with a secret, and its data set of good and defective pictures of two categories."""
    rng, rows = np.random.default_rng(seed), []
    for category in ("nut", "screw"):
        for number in range(count):
            pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            pixels[:, :8] = np.frombuffer((PIXELS * 2)[:24].encode(), dtype=np.uint8).reshape(8, 3)
            path = folder / f"{PICTURE}-{category}-{number}.png"
            Image.fromarray(pixels).save(path)
            rows.append([str(path), path.name, category, "", "good" if number % 2 else "scratch", 1 - number % 2, ""])
    columns = ["image_path", "name", "category", "split", "label", "label_index", "mask_path"]
    return InspectionDataset(DataFrame(rows, columns=columns), {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / FOLDER
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def heard(folder, tmp_path_factory):
    """Every answer of two sites in four federations and one evaluation."""
    model = FederatedPatchcore(budget=30, image_size=(96, 96), visualizer=False)
    pictures = {}
    for seed, name in enumerate(("north", "south")):
        (folder / name).mkdir()
        pictures[name] = make_pictures(folder / name, count=4, seed=seed)
    sites = [Site(name, data, extractor=model.model) for name, data in pictures.items()]
    grid = Listening(in_process_grid(sites, score=SitePictures(model, pictures, least_pictures=1)))
    agreement = make_agreement(model, budget=20)
    for strategy in (FederatedCoreset(budget=30), ExactKCenter(budget=30), Refinement(budget=30)):
        bank = run_federation(grid, strategy, agreement).bank
    assert score_global_bank(grid, bank, {"north": 1, "south": 2}).left_out == {}
    for site in sites:  # last, since nothing else is answered afterwards
        site.guard = PrivacyGuard(PrivacyTerms(folder=tmp_path_factory.mktemp("ledgers") / site.name))
    private = make_agreement(model, privacy={"class_path": "adaptive_gaussian", "init_args": {"epsilon": 8.0}})
    run_federation(grid, NoisySums(), private)
    yield grid.heard
    for site in sites:
        site.close()


def flowers_bytes(part):
    """All that Flower sends of a message: its own and its parts' bytes."""
    yield part.deflate()
    for child in (part.children or {}).values():
        yield from flowers_bytes(child)


def bank_fields(data):
    """Names of all that a bank's bytes hold: tensors, and fields of the meta data with those inside them."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    (key,) = header.pop("__metadata__").items()
    meta = json.loads(key[1])
    inside = {f"space.{name}" for name in meta.pop("space")}
    for item in meta.pop("contributions"):
        inside |= {f"contributions.{name}" for name in item}
    for item in meta["privacy"]:
        inside |= {f"privacy.{name}" for name in item}
    assert set(header) == set(load(data))
    return set(header) | set(meta) | inside


def test_every_question_and_every_record_of_its_answer_is_declared(heard):
    found = {}
    for question, reply in heard:
        assert not reply.has_error()
        records = {name.partition(".")[0] for name in reply.content}
        assert records == found.setdefault(question, records)
    assert found == declared_records()


def test_every_test_that_the_document_names_is_there():
    named = set(re.findall(r"`([\w/]*test_\w+\.py)`", DOCUMENT.read_text()))
    assert len(named) > 5
    assert not [name for name in named if not (DOCUMENT.parents[2] / "tests" / name).is_file()]


def test_the_app_answers_no_other_question():
    app = client_app(lambda context, space: None, score=lambda site, bank, rule: {})
    assert {name.removesuffix(".default") for name in app._registered_funcs} == set(declared_records())


def test_records_name_nothing_but_categories_and_the_site(heard):
    for question, reply in heard:
        for name, record in reply.content.items():
            if name.startswith(("bank.", "sum.")):
                assert set(record) == {"category", "data"}
                assert record["category"] in ("nut", "screw")
            elif name == "privacy":
                assert set(record) == {"report"}
            elif name == messages.SITE:
                assert set(record) == {"name"}
                assert record["name"] in ("north", "south")
            else:
                assert set(record) <= {"nut", "screw"}, (question, name)


def test_numbers_beside_banks_are_few(heard):
    # One number a category, but for the limits of AUC-sPRO and one count for each row of the bank that was asked about.
    for question, reply in heard:
        for name, record in reply.content.items():
            if name not in {messages.SITE, "privacy"} and not name.startswith(("bank.", "sum.")):
                for value in record.values():
                    many = len(value) if isinstance(value, list) else 1
                    assert many <= {"weights": 40, "auc_spro": 5}.get(name, 1), (question, name)


def test_promises_are_the_same_whatever_the_pictures_show(heard):
    promises = {reply.content["privacy"]["report"] for question, reply in heard if question == "train.sums"}
    assert len(promises) == 1
    assert PrivacyReport.from_json(*promises, source="a site").unit == "picture"


def test_banks_hold_what_is_declared(heard):
    declared = {name for row in table("In a bank") for name in row[0]}
    found = set()
    for _, reply in heard:
        for category, data in files_in(reply.content).items():
            found |= bank_fields(data)
            assert json.dumps([category]).encode()[1:-1] in data.replace(b"\\", b"")
    assert found == declared - ABSENT_WITHOUT


def test_flower_adds_no_more_than_its_envelope(heard):
    for _, reply in heard:
        content = reply.content
        own = recorddict_to_proto(content).ByteSize()
        counted = sum(record.count_bytes() for record in content.values())
        assert own < counted + 400
        sent = sum(map(len, flowers_bytes(reply)))
        assert sent < own + 4000


def windows(data):
    return {data[at : at + SHORTEST] for at in range(len(data) - SHORTEST + 1)}


def test_no_secret_is_among_the_bytes(heard, folder):
    sent = b"\0".join(data for _, reply in heard for data in flowers_bytes(reply))
    assert b"north" in sent  # what is looked for would be found
    assert str(folder.parent).encode() not in sent
    for secret in SECRETS:
        plain = secret.encode()
        for form in (
            plain,
            plain[::-1],
            base64.b64encode(plain)[:-4],
            plain.hex().encode(),
            secret.encode("utf-16-le"),
        ):
            assert form not in sent
    present = windows(sent)
    for path in sorted(folder.rglob("*.png")):
        pixels = np.asarray(Image.open(path))
        as_floats = (pixels[:2] / 255).astype(np.float32)
        for data in (pixels.tobytes(), path.read_bytes(), as_floats.tobytes(), as_floats.astype(np.float16).tobytes()):
            assert not present & windows(data)


def test_an_answer_of_a_bank_that_is_sent_holds_rows_alone(heard):
    rows = [
        load(data)["features"].shape
        for question, reply in heard
        if question == MessageType.TRAIN
        for data in files_in(reply.content).values()
    ]
    assert max(shape[0] for shape in rows) <= 20


# --- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_tells_no_path(folder, extractor, agreement):
    broken = folder / "broken"
    broken.mkdir()
    pictures = make_pictures(broken, count=2, seed=5)
    for path in broken.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(Exception, match=PICTURE):  # the site itself is told which picture it is
        Site("north", pictures, extractor=extractor).patches()
    app = client_app(lambda context, space: Site("north", pictures, extractor=extractor), mods=[tell_no_paths])
    grid = InProcessGrid(app, {1: {}})
    content = RecordDict({messages.CONFIG: agreement.to_record()})
    (reply,) = grid.send_and_receive([Message(content, dst_node_id=1, message_type=MessageType.TRAIN)])
    assert reply.has_error()
    assert "The site's log says more" in reply.error.reason
    sent = b"".join(flowers_bytes(reply))
    assert not any(secret.encode() in sent for secret in SECRETS)
    assert str(folder).encode() not in sent
