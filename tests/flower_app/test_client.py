"""What the shipped client app answers, and what it keeps to itself."""

import pytest
from deployed import SIDE
from flwr.app import ConfigRecord, Message, MessageType, RecordDict

from anomalib_federated import messages
from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import BankError
from anomalib_federated.federation import Agreement
from anomalib_federated.flower_app.client import reason_of
from anomalib_federated.models.patch_features import PatchFeatureExtractor


@pytest.fixture(scope="module")
def space():
    return PatchFeatureExtractor(Backbone(), image_size=(SIDE, SIDE)).space


@pytest.fixture
def ask(write_site, ask_node):
    """``ask(agreement, quotas=...)`` is the answer of plant-a, set up so, to the question for its bank."""
    return lambda agreement, **settings: ask_node(write_site("plant-a", **settings), agreement.to_record())


@pytest.fixture
def ask_node(make_grid):
    """``ask_node(path, record)`` is the answer of a node with this ``site.yaml``."""

    def ask(path, record):
        content = RecordDict({messages.CONFIG: record})
        (reply,) = make_grid(path).send_and_receive([Message(content, dst_node_id=1, message_type=MessageType.TRAIN)])
        return reply

    return ask


def test_it_sends_its_bank(ask, space):
    reply = ask(Agreement(space=space, budget=40))
    assert messages.site_name(reply) == "plant-a"
    bank = messages.bank_in(reply.content, source="the site")
    assert bank.categories == ("pipe_staple",)
    assert len(bank) == 40


@pytest.mark.parametrize(
    ("quotas", "asked", "reason"),
    [
        ({"max_rows": 39}, {}, "asks for 40 rows of a category, but this site sends at most 39"),
        ({"max_rows": 1000}, {"budget": 0.5}, "asks for a share (0.5) of the patches"),
        ({"max_pixels": SIDE * SIDE - 1}, {}, f"wants pictures of {SIDE} x {SIDE}"),
        ({"max_bytes": 1000}, {}, "but this site sends at most 1000"),
        ({"max_rows": 40, "max_pixels": SIDE * SIDE, "max_bytes": 100_000}, {}, ""),
    ],
)
def test_quotas_hold_whatever_the_centre_asks(quotas, asked, reason, ask, space):
    reply = ask(Agreement(**{"space": space, "budget": 40, **asked}), quotas=quotas)
    assert reply.has_error() == bool(reason)
    if reason:
        assert reason in reply.error.reason


def test_a_quota_of_rows_is_checked_before_any_picture_is_read(ask, space, tmp_path):
    ask(Agreement(space=space, budget=40), quotas={"max_rows": 1})
    assert not (tmp_path / "plant-a" / "features").exists()


def test_an_error_tells_no_path_and_no_name_of_a_picture(ask, space, tmp_path, caplog):
    secret = tmp_path / "secret" / "screw" / "train" / "good"
    secret.mkdir(parents=True)
    for number in range(3):
        (secret / f"hidden_{number}.png").write_bytes(b"no picture")
    data = {"class_path": "anomalib_federated.data.AutoVI", "init_args": {"root": str(tmp_path / "secret")}}
    reply = ask(Agreement(space=space), data=data)
    assert reply.error.reason == "The site's log says more (ValueError)."
    assert "hidden_" in caplog.text


@pytest.mark.parametrize("path", ["gone.yaml", "broken.yaml"])
def test_what_is_wrong_with_the_settings_is_not_told(path, ask_node, space, tmp_path):
    (tmp_path / "broken.yaml").write_text("site: plant-a\nsecret: 3\n")
    reply = ask_node(tmp_path / path, Agreement(space=space).to_record())
    assert reply.error.reason == "The site's log says more (SettingsError)."


def test_the_centre_learns_why_a_space_cannot_be_had(ask, space):
    other = type(space)(**{**vars(space), "weights": "0" * 64})
    reply = ask(Agreement(space=other))
    assert "Site 'plant-a' is set up differently from the federation: weights is" in reply.error.reason


def test_a_message_without_agreement_is_refused(write_site, ask_node):
    assert "no text in its field 'agreement'" in ask_node(write_site("plant-a"), ConfigRecord({})).error.reason


@pytest.mark.parametrize("text", ["It is in /plant/a.", r"It is in C:\plant.", "screws/001.png"])
def test_no_text_with_a_path_is_told(text):
    assert reason_of(BankError(text)) == "The site's log says more (BankError)."
