"""The gateway: stateless HTTP processes that know accounts and parameters, never the model."""

from .app import create_app
from .server import serve
from .services import Services

__all__ = ["Services", "create_app", "serve"]
