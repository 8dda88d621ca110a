"""The parts that the settings name, made the same way in every process."""

from openkontext.media import durable
from openkontext.media.images import ImageLimits
from openkontext.media.signing import SecretFile
from openkontext.safety import Moderator
from openkontext.settings import Settings
from openkontext.store import Store, StoreSettings


class CannotStart(Exception):
    """A process can't start as configured; the message is one line that says why and what to do."""


def open_store(settings: Settings) -> Store:
    """The store that the settings name, with their times and limits; its schema brought up to date.

    Makes the data folder. Raises `CannotStart` when that can't be.
    """
    try:
        durable.make_folder(settings.data)
        # SQLite itself would make it readable for everybody, and its journals as it is.
        settings.database_file.touch(mode=0o600)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotStart(f"can't use the folder {settings.data}: {reason}; choose another with --data") from None
    chosen = StoreSettings(
        lease_seconds=settings.lease,
        max_attempts=settings.max_attempts,
        retention_seconds=settings.retention,
        history_days=settings.history_days,
        queue_timeout_seconds=settings.queue_timeout,
        queue_limit=settings.queue_limit,
        upload_seconds=settings.upload_lifetime,
    )
    store = Store.open(settings.database, settings=chosen)
    store.migrate()
    return store


def open_secrets(settings: Settings) -> SecretFile:
    """What signs the addresses of files, made at the first start. Raises `CannotStart`."""
    path = settings.data / "secret"
    try:
        return SecretFile(path)
    except OSError as error:
        raise CannotStart(f"can't use the file {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise CannotStart(str(error)) from None


def image_limits(settings: Settings) -> ImageLimits:
    """Bounds of an input image, the same at the gateway and in the worker."""
    return ImageLimits(max_bytes=int(settings.max_image_mb * 1e6), max_pixels=int(settings.max_image_megapixels * 1e6))


def load_moderator(settings: Settings) -> Moderator:
    """What judges prompts and pictures, the same in the worker and without a server. Raises `ClassifierError`."""
    return Moderator.load(
        prompt_policy=settings.prompt_policy,
        image_classifier=settings.image_classifier,
        prompt_threshold=settings.prompt_threshold,
        image_threshold=settings.safety_threshold,
        unsafe_labels=settings.unsafe_labels,
    )
