"""The deployment that one can copy: real processes, TLS, nodes known by their keys."""

import importlib
import json
import signal
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.federation import make_agreement, make_sites, simulate
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.models import FederatedPatchcore
from tests.examples.relay import in_plain, not_tls, relay_to

EXAMPLE = Path(__file__).parents[2] / "examples" / "deployment"
PLANTS = {"plant-a": "pipe_clip", "plant-b": "tank_screw"}
"""Two of the script's three, to save time: each answer of a plant is a process of its own."""
SAID = [b"POST /v1/fleet/", b"HTTP/1.1 200", b"flwr-public-key", b"flwr-signature", b"-----BEGIN PUBLIC KEY-----"]
"""Words of Flower's own."""


class OnePlantEach(Partitioner):
    """Each plant makes one category."""

    def partition(self, images, *, seed=0):
        return {
            plant: [number for number, image in enumerate(images) if image.category == category]
            for plant, category in PLANTS.items()
        }


@pytest.fixture(scope="module")
def loopback():
    """The script, as a module."""
    sys.path.insert(0, str(EXAMPLE))
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield importlib.import_module("loopback")
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.path.remove(str(EXAMPLE))
        del sys.modules["loopback"]


@pytest.fixture(scope="module")
def deployed(loopback, tmp_path_factory):
    """What the script leaves, and all that passed a relay between the plants and the gate."""
    output = tmp_path_factory.mktemp("deployment") / "loopback"
    relays, open_gate = [], loopback.gate_before

    @contextmanager
    def gate_behind_a_relay(centre, *, link, port):
        hidden = loopback.free_port()
        with open_gate(centre, link=link, port=hidden) as gate:
            loopback.wait_for(hidden)
            with relay_to(hidden, at=port) as relay:
                relays.append(relay)
                yield gate

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loopback, "gate_before", gate_behind_a_relay)
        patch.setattr(loopback, "PLANTS", PLANTS)
        try:
            loopback.main(["--output", str(output), "--scale", "0.16", "--images", "6", "--side", "64"])
        except loopback.LoopbackError as error:
            pytest.fail(f"{error}\n" + "\n".join(path.read_text() for path in (output / "logs").glob("*")))
    return output, relays[0]


@pytest.fixture(scope="module")
def output(deployed):
    return deployed[0]


@pytest.fixture(scope="module")
def relay(deployed):
    return deployed[1]


def test_the_global_bank_is_that_of_the_same_sites_in_one_process(output, tmp_path):
    for plant, category in PLANTS.items():
        (tmp_path / category).symlink_to(output / plant / "pictures" / category)
    data = AutoVI(tmp_path, list(PLANTS.values()))
    data.setup()
    model = FederatedPatchcore(budget=500, image_size=(64, 64))
    sites = make_sites(data, OnePlantEach(), extractor=model.model)
    expected = simulate(sites, registry.build("strategy", "federated_coreset", budget=400), make_agreement(model))
    folder = FederationFolder.open(output / "centre" / "folder")
    assert folder.version_bank(1).digest == expected.bank.digest
    assert {site: folder.bank(site).digest for site in folder.sites()} == {
        site: bank.digest for site, bank in expected.site_banks.items()
    }


def test_each_plant_came_over_the_network_and_told_its_figures(output):
    folder = FederationFolder.open(output / "centre" / "folder")
    assert {site: (status.state, status.via) for site, status in folder.statuses().items()} == dict.fromkeys(
        PLANTS, ("in", "flower")
    )
    told = json.loads(folder.version_path(1).with_name("evaluation.json").read_text())
    assert {site: list(scores) for site, scores in told["scores"].items()} == {
        plant: [category] for plant, category in PLANTS.items()
    }
    assert told["not_measured_by"] == told["not_scored_by"] == {}


def test_the_plants_were_asked_by_way_of_the_gate(output):
    log = (output / "logs" / "centre_gate.log").read_text()
    assert log.count('/v1/fleet/activate-node HTTP/1.1" 200') == len(PLANTS)


def test_nothing_is_left_running(output):
    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert str(output) not in running


def test_private_keys_are_readable_by_their_owner_alone(output):
    keys = [*output.glob("*/pki/*.key")]
    assert len(keys) == 2 + len(PLANTS)
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


# --- what somebody between the plants and the gate sees ---------------------------------------------------------------


def parts_of(bank):
    """Names in a bank, and the beginning of each row."""
    rows = bank.features.numpy()
    return [
        *map(str.encode, (*bank.sites, *bank.categories, bank.space.backbone)),
        *(row.tobytes()[:32] for row in rows),
    ]


def public_keys(output):
    """The nodes', in the two forms in which they tell them."""
    keys = [load_ssh_public_key(path.read_bytes()) for path in output.glob("plant-*/pki/*.pub")]
    texts = [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys]
    return [*texts, *map(b64encode, texts)]


def test_all_that_passes_the_gate_is_tls_records(output, relay):
    sent = sum(path.stat().st_size for path in (output / "centre" / "folder" / "sites").iterdir())
    assert sum(len(up) for up, _ in relay.connections) > sent
    assert [not_tls(data) for data in relay.seen()] == [""] * 2 * len(relay.connections)


def test_nothing_of_the_exchange_is_in_plain(output, relay):
    folder = FederationFolder.open(output / "centre" / "folder")
    parts = [part for site in folder.sites() for part in parts_of(folder.bank(site))]
    keys = public_keys(output)
    assert len(parts) > 600
    assert len(keys) == 2 * len(PLANTS)
    assert in_plain(relay.seen(), [*SAID, *keys, *parts]) == []


def test_what_is_looked_for_is_what_a_bank_is_made_of(output):
    for path in (output / "centre" / "folder" / "sites").iterdir():
        parts = parts_of(MemoryBank.load(path))
        assert in_plain([path.read_bytes()], parts) == sorted(set(parts))


def test_the_same_eyes_see_through_a_connection_without_tls(loopback, tmp_path):
    """A SuperLink and a SuperNode without certificates, which Flower allows on one machine."""
    machine, port = loopback.Machine("open", tmp_path, tmp_path / "logs"), loopback.free_port()
    link = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port), "--isolation", "process"]
    node = ["flower-supernode", "--insecure", "--port", str(loopback.free_port())]
    until = time.monotonic() + 120
    with ExitStack() as running:
        running.enter_context(machine.running(*link))
        loopback.wait_for(port)
        relay = running.enter_context(relay_to(port))
        running.enter_context(machine.running(*node, "--superlink", f"127.0.0.1:{relay.port}"))
        while not any(b"activate-node" in up and down for up, down in relay.connections):
            assert time.monotonic() < until, [path.read_text() for path in (tmp_path / "logs").iterdir()]
            time.sleep(0.1)
    assert in_plain(relay.seen(), SAID) == sorted(SAID)
    assert all(not_tls(data) for data in relay.seen() if data)
