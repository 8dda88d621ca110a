"""A worker process from its settings."""

import os
import signal
import socket
import sys
import uuid
from typing import NoReturn

import torch

from openkontext.engine import CheckpointError, Engine
from openkontext.media.blobs import Blobs
from openkontext.media.fetch import FetchPolicy
from openkontext.media.notary import CannotSign, Notary
from openkontext.parts import image_limits, load_moderator, open_store
from openkontext.process import die_with_parent
from openkontext.safety import ClassifierError
from openkontext.settings import Settings
from openkontext.store import Store

from .job import Desk
from .link import EXIT_MISCONFIGURED, Link
from .loop import Worker


def run(settings: Settings, name: str | None = None) -> None:
    """Load the model, then work until asked to stop.

    Exits with `EXIT_MISCONFIGURED` and one clear line when checkpoint, classifier or certificate can't be used.
    """
    link = Link.from_environment()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with die_with_parent():
            _work(settings, name or f"worker-{os.getpid()}-{uuid.uuid4().hex[:8]}", link)
    except Exception as error:
        # Its last words, for the supervisor to say why it died.
        link.send("fatal", message=str(error) or repr(error))
        raise


def _work(settings: Settings, name: str, link: Link) -> None:
    store = open_store(settings)
    store.report_worker(name, state="loading", checkpoint=settings.model, pid=os.getpid(), host=socket.gethostname())
    try:
        desk = _load(settings, link)
    except (CheckpointError, ClassifierError, CannotSign) as error:
        _refuse(store, name, link, str(error))
    worker = Worker(
        name,
        store,
        desk,
        link,
        lease=settings.lease,
        step_timeout=settings.step_timeout,
        job_timeout=settings.job_timeout,
        drain=settings.drain,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    store.close()


def _load(settings: Settings, link: Link) -> Desk:
    # First, since they are small: what is wrong with them is said before the model is downloaded.
    moderator = load_moderator(settings)
    notary = Notary.open(settings.authority, settings.c2pa_certificate, settings.c2pa_key)
    engine = Engine.load(
        settings.model,
        device=None if settings.device == "auto" else settings.device,
        on_progress=lambda part, done, total: link.send("loading", part=part, done=done, total=total),
    )
    return Desk(
        engine=engine,
        moderator=moderator,
        notary=notary,
        blobs=Blobs.open(settings.blobs),
        limits=image_limits(settings),
        fetch_policy=_fetch_policy(settings),
    )


def _fetch_policy(settings: Settings) -> FetchPolicy:
    return FetchPolicy(
        allowed_hosts=settings.fetch_allow_hosts,
        max_bytes=int(settings.max_image_mb * 1e6),
        timeout_seconds=settings.fetch_timeout,
    )


def _refuse(store: Store, name: str, link: Link, message: str) -> NoReturn:
    link.send("fatal", message=message)
    store.forget_worker(name)
    if not link.supervised:
        sys.stderr.write(f"error: {message}\n")
    sys.exit(EXIT_MISCONFIGURED)
