"""Running the app under uvicorn, on a socket of one's own or one handed down."""

import ipaddress
import socket
from functools import partial
from types import FrameType

import uvicorn

from openkontext.process import die_with_parent, raise_open_files
from openkontext.settings import Settings

from .app import create_app
from .protocol import Connection, Connections
from .services import Services

# Longer than clients keep an idle connection: a request on one that closes at that instant would fail.
KEEP_ALIVE = 75
# Files for all but connections: the database's, pictures, receivers of webhooks.
_OTHER_FILES = 512


class Server(uvicorn.Server):
    """The app of ``services``, behind connections that have bounds."""

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        limit = max(1, min(settings.max_connections, raise_open_files() - _OTHER_FILES))
        self.connections = Connections(settings, limit)
        config = uvicorn.Config(
            create_app(services),
            loop="uvloop",
            http=partial(Connection, self.connections),  # type: ignore[arg-type]  # called as the class would be
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            # The app looks at forwarded headers itself, and only of the proxies that the settings name.
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.drain) + 5),
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; what a client's time is measured by needs half of one."""
        if counter % 5 == 0:
            self.connections.check()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell the services that the process drains, as soon as it is asked to stop."""
        self._services.draining = True
        super().handle_exit(sig, frame)


def serve(settings: Settings, listener: socket.socket, *, wants_worker: bool = False) -> None:
    """Serve on ``listener`` until SIGTERM or SIGINT; running requests get the drain time to end."""
    services = Services.open(settings, wants_worker=wants_worker, on_loopback=_is_on_loopback(listener))
    server = Server(services)
    with die_with_parent():
        server.run(sockets=[listener])


def _is_on_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
