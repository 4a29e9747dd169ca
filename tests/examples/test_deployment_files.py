"""The parts of the deployment that need no running federation: certificates, the gate, the units."""

import json
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

EXAMPLE = Path(__file__).parents[2] / "examples" / "deployment"
UNITS = sorted(path.name for path in (EXAMPLE / "systemd").glob("*.service"))
LOCALHOST = "127.0.0.1"


def run_command(*command):
    return subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True)


def run(*arguments):
    return run_command(sys.executable, *arguments)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    for arguments in (("server", "--host", "federation.example.com", LOCALHOST), ("node", "--name", "plant-a")):
        done = run(EXAMPLE / "certificates.py", *arguments, "--output", folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_server_certificate_is_of_the_authority_and_names_the_hosts(pki):
    authority = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    server = x509.load_pem_x509_certificate((pki / "server.crt").read_bytes())
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["federation.example.com"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [LOCALHOST]


def test_the_public_half_of_a_node_key_belongs_to_the_private_one(pki):
    private = load_ssh_private_key((pki / "plant-a.key").read_bytes(), password=None)
    assert private.public_key() == load_ssh_public_key((pki / "plant-a.pub").read_bytes())
    assert private.curve.name == "secp384r1"


def test_a_key_that_is_there_is_not_replaced(pki):
    before = (pki / "plant-a.key").read_bytes()
    done = run(EXAMPLE / "certificates.py", "node", "--name", "plant-a", "--output", pki)
    assert done.returncode != 0
    assert "plant-a.key" in done.stderr
    assert (pki / "plant-a.key").read_bytes() == before


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        told = json.dumps({"path": self.path, "bytes": len(body), "key": self.headers.get("flwr-key")}).encode()
        self.send_response(418)
        self.send_header("content-length", str(len(told)))
        self.send_header("x-superlink", "yes")
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *arguments):
        """Say nothing."""


@contextmanager
def echo_behind_tls(pki):
    server = ThreadingHTTPServer((LOCALHOST, 0), Echo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def gate(pki):
    """A client that knows the authority, at the gate before an echo."""
    with socket.socket() as free:
        free.bind((LOCALHOST, 0))
        port = free.getsockname()[1]
    with echo_behind_tls(pki) as superlink:
        command = [
            EXAMPLE / "gate.py", "--host", LOCALHOST, "--port", port, "--superlink", f"{LOCALHOST}:{superlink}",
            "--ca", pki / "ca.crt", "--certificate", pki / "server.crt", "--key", pki / "server.key",
        ]  # fmt: skip
        process = subprocess.Popen([sys.executable, *map(str, command)], stderr=subprocess.DEVNULL)
        try:
            verify = ssl.create_default_context(cafile=pki / "ca.crt")
            with httpx.Client(base_url=f"https://{LOCALHOST}:{port}", verify=verify, trust_env=False) as client:
                wait_for(port)
                yield client
        finally:
            process.kill()
            process.wait()


def wait_for(port):
    for _ in range(600):
        with socket.socket() as trying:
            if trying.connect_ex((LOCALHOST, port)) == 0:
                return
        time.sleep(0.1)


def test_the_gate_passes_the_fleet_api_on_as_it_is(gate):
    answer = gate.post("/v1/fleet/pull-messages", content=b"x" * 3_000_000, headers={"flwr-key": "abc"})
    assert answer.status_code == 418
    assert answer.headers["x-superlink"] == "yes"
    assert answer.json() == {"path": "/v1/fleet/pull-messages", "bytes": 3_000_000, "key": "abc"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/control/register-node",
        "/v1/runtime/acquire-task",
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet/..%2fcontrol/start-run",
        "/v1/fleet/pull-messages/",
        "/v1/fleet/",
        "//v1/control/start-run",
        "/",
    ],
)
def test_the_gate_lets_nothing_else_through(path, gate):
    raw = httpx.URL(str(gate.base_url)).copy_with(raw_path=path.encode())
    answer = gate.send(httpx.Request("POST", raw, content=b""))
    assert answer.status_code in {404, 405}
    assert "x-superlink" not in answer.headers


def test_the_gate_passes_no_other_method(gate):
    assert gate.get("/v1/fleet/pull-messages").status_code == 405


def exec_start(path):
    text = path.read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_names_options_that_its_program_has(unit):
    program, *arguments = exec_start(EXAMPLE / "systemd" / unit)
    name = Path(program).name
    command = [sys.executable, EXAMPLE / arguments[0]] if name == "python" else [Path(sys.executable).with_name(name)]
    known = run_command(*command, "--help").stdout
    for argument in arguments:
        if argument.startswith("--"):
            assert f"{argument} " in known or f"{argument}\n" in known or f"{argument}]" in known, argument


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_no_fault_with_a_unit(unit, tmp_path):
    folder = tmp_path / "etc" / "systemd" / "system"
    folder.mkdir(parents=True)
    for path in (EXAMPLE / "systemd").glob("*.service"):  # they name each other
        shutil.copy(path, folder)
        program = tmp_path / exec_start(path)[0].lstrip("/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(mode=0o755)
    done = run_command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
