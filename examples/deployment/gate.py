#!/usr/bin/env python3
"""A gate before the SuperLink: plants reach its Fleet API, and nothing else of it.

A SuperLink serves three interfaces on one port: Fleet for the SuperNodes, whose requests are signed by their keys, and
Control (``flwr run``, ``flwr supernode register``) and Runtime, which in the open-source build let everybody in who can
reach the port, to run any program at the centre and at every site. So the SuperLink listens on 127.0.0.1, where plants
do not get. What they get at is this gate, or any reverse proxy that lets through the same and no more:

    python gate.py --host 0.0.0.0 --port 8443 --superlink 127.0.0.1:8000 \
        --ca pki/ca.crt --certificate pki/server.crt --key pki/server.key
"""

from __future__ import annotations

import argparse
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

FLEET = "/v1/fleet/{action:path}"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"}
"""Headers that concern one connection only (RFC 9110, section 7.6.1)."""
SECONDS = 300.0
"""Until a request that stands still is given up."""


def gate(superlink: str, *, ca: Path) -> Starlette:
    """The gate as an ASGI application; all but the Fleet API is answered with 404.

    Args:
        superlink: Address of the SuperLink, ``host:port``.
        ca: Certificate of the authority that signed the SuperLink's.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        verify = ssl.create_default_context(cafile=ca)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=f"https://{superlink}", verify=verify, timeout=SECONDS, limits=limits, trust_env=False
        ) as client:
            app.state.client = client
            yield

    return Starlette(routes=[Route(FLEET, _pass_on, methods=["POST"])], lifespan=lifespan)


async def _pass_on(request: Request) -> Response:
    client: httpx.AsyncClient = request.app.state.client
    # The path is made anew out of what the route matched, so that nothing like '..' gets through.
    action: str = request.path_params["action"]
    if not action.replace("-", "").isalpha():
        return Response(status_code=404)
    asked = client.build_request(
        "POST", f"/v1/fleet/{action}", headers=_end_to_end(request.headers.items()), content=request.stream()
    )
    try:
        answer = await client.send(asked, stream=True)
    except httpx.TransportError:
        return Response("The SuperLink cannot be reached.", status_code=503)
    return StreamingResponse(
        answer.aiter_raw(),
        status_code=answer.status_code,
        headers=dict(_end_to_end(answer.headers.items())),
        background=BackgroundTask(answer.aclose),
    )


def _end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def main() -> None:
    """Read the command line, and open the gate."""
    parser = argparse.ArgumentParser(description="Let plants reach the Fleet API of a SuperLink, and nothing else.")
    parser.add_argument("--host", required=True, help="address to listen on; 0.0.0.0: all")
    parser.add_argument("--port", type=int, default=8443, help="port to listen on (8443)")
    parser.add_argument("--superlink", default="127.0.0.1:8000", help="the SuperLink (127.0.0.1:8000)")
    parser.add_argument("--ca", type=Path, required=True, help="certificate of the authority")
    parser.add_argument("--certificate", type=Path, required=True, help="the server's certificate")
    parser.add_argument("--key", type=Path, required=True, help="its key")
    options = parser.parse_args()
    uvicorn.run(
        gate(options.superlink, ca=options.ca),
        host=options.host,
        port=options.port,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        log_level="info",
    )


if __name__ == "__main__":
    main()
