"""What travels: nothing is lost on the way, and nothing that arrives is trusted."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto

from anomalib_federated import messages
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.federation import Agreement, InProcessGrid
from anomalib_federated.messages import MessageError
from anomalib_federated.selection.budget import Budget
from anomalib_federated.testing import example_bank
from tests.federation.pieces import files_in, pieces_of


def two_categories():
    return MemoryBank.merge(
        [example_bank(site="a", category="nut"), example_bank(rows=3, site="a", dtype=torch.float32)]
    )


def test_a_bank_arrives_as_it_was_sent():
    bank = two_categories()
    content = RecordDict(messages.bank_records(bank))
    assert set(files_in(content)) == {"nut", "screw"}
    assert messages.bank_in(content, source="a").to_bytes() == bank.to_bytes()


def test_a_message_holds_the_bytes_of_a_file(tmp_path):
    bank = example_bank()
    path = bank.save(tmp_path / "bank.safetensors")
    content = RecordDict(messages.bank_records(bank))
    assert files_in(content) == {"screw": path.read_bytes()}
    assert messages.bytes_by_category(content) == {"screw": path.stat().st_size}


def test_a_large_bank_is_cut_into_pieces_of_four_mebibytes():
    bank = MemoryBank.merge(
        [example_bank(rows=20_000, dim=160, site="a", category=name, dtype=torch.float32) for name in ("nut", "screw")]
    )
    content = RecordDict(messages.bank_records(bank))
    assert list(content) == [f"bank.{number:06d}" for number in range(8)]
    assert [len(content[name]["data"]) == 4 << 20 for name in content] == [True, True, True, False] * 2
    assert messages.bank_in(content, source="a").digest == bank.digest
    assert messages.bank_in(RecordDict(messages.bank_records(bank, ["screw"])), source="a").categories == ("screw",)


def test_pieces_arrive_in_any_order():
    content = RecordDict(messages.bank_records(two_categories()))
    reordered = RecordDict({name: content[name] for name in reversed(list(content))})
    arrived = [messages.bank_in(given, source="a") for given in (content, reordered)]
    assert arrived[0].categories == ("nut", "screw")
    assert arrived[0].to_bytes() == arrived[1].to_bytes()


def test_the_bytes_survive_flowers_own_serialisation():
    content = RecordDict(messages.bank_records(two_categories()))
    again = recorddict_from_proto(recorddict_to_proto(content))
    assert messages.bank_in(again, source="a").to_bytes() == two_categories().to_bytes()


def test_a_bank_moves_from_a_message_to_a_disk(tmp_path):
    content = RecordDict({**messages.bank_records(two_categories()), messages.SITE: messages.site_record("a")})
    bank = messages.take_bank(content, tmp_path, source="a")
    assert bank.to_bytes() == two_categories().to_bytes()
    assert list(content) == [messages.SITE]
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_leaves_no_file(tmp_path):
    for files in ({"nut": example_bank().to_bytes()}, {"screw": b"x"}):
        with pytest.raises(BankError, match=r"The bank of category '(nut|screw)' from site 'a'"):
            messages.take_bank(RecordDict(pieces_of(files)), tmp_path, source="site 'a'")
    assert list(tmp_path.iterdir()) == []


def take(content, **limits):
    with TemporaryDirectory() as folder:
        return messages.take_bank(content, Path(folder), **limits)


@pytest.mark.parametrize("read", [messages.bank_in, take])
@pytest.mark.parametrize("limits", [{"max_bytes": 999}, {"max_rows": 15}])
def test_no_more_than_the_limits_is_decoded(read, limits):
    content = RecordDict(messages.bank_records(example_bank(rows=16)))
    with pytest.raises(
        BankError, match=r"category 'screw' from site 'a' .*(more than the 999 accepted|at most 15 were agreed)"
    ):
        read(content, source="site 'a'", **limits)


def test_a_message_without_a_bank_is_refused():
    assert not messages.has_bank(RecordDict())
    with pytest.raises(BankError, match="There is no bank in the message from site 'a'"):
        messages.bank_in(RecordDict(), source="site 'a'")


@pytest.mark.parametrize("name", ["bank.", "bank.0", "bank.000002", "bank.screw", "bank.00000\u0661"])
def test_a_piece_that_is_missing_or_has_no_number_is_noticed(name):
    content = RecordDict(messages.bank_records(example_bank()))
    content[name] = content["bank.000000"]
    with pytest.raises(BankError, match=r"In the message from site 'a', .* is no piece \d of a bank"):
        messages.bank_in(content, source="site 'a'")


@pytest.mark.parametrize(
    "piece",
    [
        {"category": "screw", "data": b""},
        {"category": "screw", "data": bytes((4 << 20) + 1)},
        {"category": "screw", "data": "text"},
        {"category": b"screw", "data": b"x"},
    ],
)
def test_a_piece_that_is_none_is_refused(piece):
    with pytest.raises(BankError, match="piece 0 of a bank must name a category and hold 1 to 4194304 bytes"):
        messages.bank_in(RecordDict({"bank.000000": ConfigRecord(piece)}), source="site 'a'")


@pytest.mark.parametrize("piece", [ConfigRecord(), ConfigRecord({"data": b"x"}), MetricRecord(), ArrayRecord()])
def test_a_piece_of_other_fields_is_refused(piece):
    with pytest.raises(BankError, match=r"'bank\.000000' is no piece 0 of a bank"):
        messages.bank_in(RecordDict({"bank.000000": piece}), source="site 'a'")


def test_a_bank_under_another_categorys_name_is_refused():
    content = RecordDict(pieces_of({"nut": example_bank().to_bytes()}))
    with pytest.raises(BankError, match="category 'nut' from site 'a' holds rows of screw"):
        messages.bank_in(content, source="site 'a'")


def test_two_categories_under_one_name_are_refused():
    content = RecordDict(pieces_of({"nut": two_categories().to_bytes()}))
    with pytest.raises(BankError, match="holds rows of nut, screw"):
        messages.bank_in(content, source="site 'a'")


@pytest.mark.parametrize("data", [b"\x80\x04.", example_bank().to_bytes()[:-1], example_bank().to_bytes() * 2])
def test_damaged_bytes_are_refused_with_their_source(data):
    with pytest.raises(BankError, match="The bank of category 'screw' from site 'a' is not a valid memory bank"):
        messages.bank_in(RecordDict(pieces_of({"screw": data})), source="site 'a'")


# --- records --------------------------------------------------------------------------------------------------------


@pytest.fixture
def message():
    content = RecordDict({messages.CONFIG: ConfigRecord({"name": "x", "number": 3}), messages.SITE: MetricRecord()})
    return InProcessGrid(ClientApp(), {7: {}}).create_message(content, MessageType.TRAIN, 7, "")


def test_record_gives_the_record(message):
    assert messages.record(message, messages.CONFIG, ConfigRecord)["number"] == 3


@pytest.mark.parametrize(("name", "kind"), [("absent", ConfigRecord), (messages.SITE, ConfigRecord)])
def test_a_record_that_is_absent_or_of_another_kind_is_refused(message, name, kind):
    with pytest.raises(MessageError, match=rf"A message from node \d+ has no ConfigRecord named '{name}'"):
        messages.record(message, name, kind)


def test_text_gives_text_only():
    config = {"name": "x", "number": 3}
    assert messages.text(config, "name", source="node 1") == "x"
    for field in ("number", "absent"):
        with pytest.raises(MessageError, match=f"The message from node 1 has no text in its field '{field}'"):
            messages.text(config, field, source="node 1")


def test_a_site_says_its_name():
    assert dict(messages.site_record("plant-a")) == {"name": "plant-a"}


# --- agreement ------------------------------------------------------------------------------------------------------


def test_an_agreement_arrives_as_it_was_sent():
    space = example_bank().space
    for given in (
        Agreement(space=space),
        Agreement(space=space, coreset="random", coreset_args={"x": 1}, budget=0.1, dtype="float32", seed=7),
        Agreement(space=space, budget={"radius": 2, "rows": 50}),
        Agreement(space=space, budget=Budget(most=50, radius=0.5)),
    ):
        assert Agreement.from_record(given.to_record(), source="the server") == given


def test_an_agreements_budget_is_plain_values():
    space = example_bank().space
    assert Agreement(space=space, budget=Budget(most=7)).budget == 7
    assert Agreement(space=space, budget={"radius": 2, "share": 0.5}).budget == {"radius": 2.0, "share": 0.5}


@pytest.mark.parametrize(("dtype", "row"), [("float32", 8 * 4), ("float16", 8 * 2)])
def test_no_bank_larger_than_its_agreed_rows_is_decoded(dtype, row):
    agreement = Agreement(space=example_bank().space, budget=100, dtype=dtype)
    bank = example_bank(rows=100, dtype=getattr(torch, dtype))
    assert len(bank.to_bytes()) < agreement.max_bytes < 100 * (row + 12) + (2 << 20)
    assert Agreement(space=example_bank().space, budget=0.5).max_bytes == 4 << 30


@pytest.mark.parametrize(
    "change",
    [
        {"coreset": "os.system"},
        {"coreset": ""},
        {"coreset": 3},
        {"coreset_args": [1]},
        {"budget": 0},
        {"budget": -0.5},
        {"budget": True},
        {"budget": 5.0},
        {"budget": float("inf")},
        {"budget": "many"},
        {"budget": {"rows": 5}},
        {"budget": {"radius": 0.0}},
        {"budget": {"radius": 1.0, "rows": 5, "share": 0.5}},
        {"budget": None},
        {"budget": float("nan")},
        {"dtype": "float64"},
        {"dtype": "load"},
        {"seed": 1.5},
        {"seed": -1},
        {"seed": 1 << 63},
        {"space": None},
        {"space": {"dim": 3}},
        {"surprise": 1},
    ],
)
def test_an_agreement_that_cannot_be_is_refused(change):
    (field, text), *_ = Agreement(space=example_bank().space).to_record().items()
    record = ConfigRecord({field: json.dumps(json.loads(text) | change)})
    with pytest.raises(MessageError, match="The agreement from the server cannot be used"):
        Agreement.from_record(record, source="the server")


@pytest.mark.parametrize("record", [{}, {"agreement": "{"}, {"agreement": "[]"}, {"agreement": 3}, {"agreement": "{}"}])
def test_a_record_without_an_agreement_is_refused(record):
    with pytest.raises(MessageError, match="agreement"):
        Agreement.from_record(ConfigRecord(record), source="the server")
