"""Commands of a deployment: where the app lies, what sites are asked for, the bank of a site that is never online."""

import io
import zipfile
from pathlib import Path

import pytest
import yaml
from flwr.app import Message, MessageType, RecordDict
from flwr.cli.build import build_fab_from_disk

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.federation import Agreement, InProcessGrid
from anomalib_federated.flower_app import client

CONFIGS = Path(__file__).parents[2] / "configs" / "deployment"


@pytest.fixture
def site(demo_root, tmp_path):
    """``site(quotas={...})`` writes the settings of a site that makes screws, and gives the file."""

    def write(**changed):
        config = yaml.safe_load((CONFIGS / "site.yaml").read_text()) | {"store": str(tmp_path / "features")}
        config["data"]["init_args"] |= {"root": str(demo_root), "categories": ["tank_screw"]}
        (tmp_path / "site.yaml").write_text(yaml.safe_dump(config | changed))
        return tmp_path / "site.yaml"

    return write


@pytest.fixture
def agreement(tmp_path):
    """The file that the centre writes."""
    config = yaml.safe_load((CONFIGS / "federation.yaml").read_text())
    config["model"]["init_args"] |= {"image_size": [64, 64], "budget": 60}
    (tmp_path / "federation.yaml").write_text(yaml.safe_dump(config))
    output = tmp_path / "agreement.json"
    assert main(["agreement", "--config", str(tmp_path / "federation.yaml"), "--output", str(output)]) == 0
    return output


def build(site, agreement, output):
    return main(["bank", "build", "--config", str(site), "--agreement", str(agreement), "--output", str(output)])


def test_a_site_that_is_never_online_builds_the_bank_that_it_would_have_sent(site, agreement, tmp_path):
    assert build(site(), agreement, tmp_path / "plant-a.safetensors") == 0
    asked = Agreement.from_json(agreement.read_text(), source="the file")
    grid = InProcessGrid(client.app, {1: {"config": str(tmp_path / "site.yaml")}})
    content = RecordDict({messages.CONFIG: asked.to_record()})
    (reply,) = grid.send_and_receive([Message(content, dst_node_id=1, message_type=MessageType.TRAIN)])
    sent = messages.bank_in(reply.content, source="the site")
    assert MemoryBank.load(tmp_path / "plant-a.safetensors").digest == sent.digest
    assert len(sent) == 60


@pytest.mark.parametrize("quotas", [{"max_rows": 59}, {"max_bytes": 5000}])
def test_quotas_hold_for_the_file_as_well(quotas, site, agreement, tmp_path, capsys):
    assert build(site(quotas=quotas), agreement, tmp_path / "plant-a.safetensors") == 1
    assert f"this site sends at most {next(iter(quotas.values()))}" in capsys.readouterr().err
    assert not (tmp_path / "plant-a.safetensors").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"budget": 5}'])
def test_what_is_no_agreement_is_refused_by_the_name_of_its_file(text, site, tmp_path, capsys):
    (tmp_path / "agreement.json").write_text(text)
    assert build(site(), tmp_path / "agreement.json", tmp_path / "plant-a.safetensors") == 1
    assert str(tmp_path / "agreement.json") in capsys.readouterr().err


def test_a_mistake_in_the_settings_is_named(tmp_path, capsys):
    settings = yaml.safe_load((CONFIGS / "federation.yaml").read_text())
    del settings["model"]
    (tmp_path / "federation.yaml").write_text(yaml.safe_dump(settings))
    assert main(["agreement", "--config", str(tmp_path / "federation.yaml")]) == 1
    assert "Option 'model' is required" in capsys.readouterr().err


def test_what_flower_submits_is_a_reference_to_the_installed_package_and_no_code(capsys):
    assert main(["app"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    with zipfile.ZipFile(io.BytesIO(build_fab_from_disk(folder))) as bundle:
        assert sorted(bundle.namelist()) == [".info/CONTENT", "pyproject.toml"]
        text = bundle.read("pyproject.toml").decode()
    assert 'serverapp = "anomalib_federated.flower_app.server:app"' in text
    assert 'clientapp = "anomalib_federated.flower_app.client:app"' in text
    assert "dependencies = []" in text
