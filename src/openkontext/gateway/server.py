"""Running the app under uvicorn, on a socket of one's own or one handed down."""

import socket
from types import FrameType

import uvicorn

from openkontext.process import die_with_parent
from openkontext.settings import Settings

from .app import create_app
from .services import Services


class _Server(uvicorn.Server):
    """Tells the services that the process drains, as soon as it is asked to stop."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._services.draining = True
        super().handle_exit(sig, frame)


def serve(settings: Settings, listener: socket.socket, *, wants_worker: bool = False) -> None:
    """Serve on ``listener`` until SIGTERM or SIGINT; running requests get the drain time to end."""
    services = Services.open(settings, wants_worker=wants_worker)
    config = uvicorn.Config(
        create_app(services),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
        # The app looks at forwarded headers itself, and only of the proxies that the settings name.
        proxy_headers=False,
        # Longer than clients keep an idle connection: a request on one that closes at that instant would fail.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.drain) + 5),
    )
    server = _Server(config, services)
    with die_with_parent():
        server.run(sockets=[listener])
