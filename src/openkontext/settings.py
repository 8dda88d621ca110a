"""Every setting, once: name, default, help. Each is also the environment variable OPENKONTEXT_NAME."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Names = Annotated[frozenset[str], NoDecode]


def _setting(default: Any, text: str, **bounds: Any) -> Any:
    return Field(default, description=text, **bounds)


class Settings(BaseSettings):
    """What an operator may choose; read from the environment and, above it, the command line."""

    model_config = SettingsConfigDict(env_prefix="OPENKONTEXT_", extra="ignore", frozen=True)

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8000, "Port to listen on.", ge=0, le=65535)
    data: Path = _setting(Path("data"), "Folder of the database, pictures, secret and key; made if missing.")
    model: str = _setting("nano", "Checkpoint: `nano`, a folder in the diffusers layout, or a Hugging Face id.")
    workers: int = _setting(1, "Worker processes, spread over the devices there are.", ge=0, le=64)
    device: str = _setting("auto", "Device of the workers: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.")
    threads: int = _setting(0, "CPU threads of a worker; 0 lets PyTorch choose.", ge=0)
    public_url: str = _setting("", "Address clients reach the server at, when it isn't the one they ask for.")
    trusted_proxies: Names = _setting(
        frozenset(), "Comma-separated addresses of proxies whose X-Forwarded-Host and -Proto are believed."
    )

    local_session: bool = _setting(
        True,
        "Whether the pages work without a key on this machine: bound to loopback, and asked for at a loopback address.",
    )

    price: Decimal = _setting(Decimal("0.04"), "Credits an edit costs.", ge=0)
    local_credits: Decimal = _setting(Decimal(1000), "Credits of the account `local`, made at the first start.", ge=0)
    queue_limit: int = _setting(1000, "Requests that may wait; more are answered 503.", ge=1)
    poll_limit: int = _setting(6000, "Polls a minute that one gateway answers to a key; 0 is no limit.", ge=0)
    queue_timeout: float = _setting(3600.0, "Seconds after which a request that no worker took is FAILED.", gt=0)
    retention: float = _setting(3600.0, "Seconds a result and its files live after the request ended.", gt=0)
    history_days: float = _setting(30.0, "Days a slim row of an ended request is kept for accounting.", ge=0)
    upload_lifetime: float = _setting(86400.0, "Seconds an uploaded picture is kept after its last upload.", gt=0)
    sync_timeout: float = _setting(60.0, "Seconds after which v1 answers 504 while the request goes on.", gt=0)

    lease: float = _setting(15.0, "Seconds a worker's hold on a request lasts without a heartbeat.", gt=0)
    max_attempts: int = _setting(3, "Workers that may die over one request before it is FAILED.", ge=1)
    step_timeout: float = _setting(
        60.0,
        "Seconds without progress after which a worker counts as hung; at least ten times a step's usual time.",
        gt=0,
    )
    job_timeout: float = _setting(1800.0, "Seconds an edit may run in all.", gt=0)
    drain: float = _setting(
        20.0, "Seconds a running edit gets to end at shutdown before it goes back to the queue.", ge=0
    )

    header_timeout: float = _setting(10.0, "Seconds a client gets to send the head of a request.", gt=0)
    body_timeout: float = _setting(
        30.0,
        "Seconds a body may take beyond what 16 kB per second takes; and a client may take nothing of an answer.",
        gt=0,
    )
    max_connections: int = _setting(
        4096, "Connections that one gateway holds; beyond them the longest idle is closed.", ge=1
    )
    max_body_mb: float = _setting(32.0, "Largest request body, in MB.", gt=0)
    max_image_mb: float = _setting(20.0, "Largest input image, in MB.", gt=0)
    max_image_megapixels: float = _setting(50.0, "Largest input image, in megapixels.", gt=0)
    fetch_timeout: float = _setting(20.0, "Seconds in which an input image's URL must be fetched.", gt=0)
    fetch_allow_hosts: Names = _setting(
        frozenset(), "Comma-separated host or host:port names that may be fetched though their address is private."
    )
    webhook_allow_hosts: Names = _setting(
        frozenset(), "Comma-separated host or host:port names that webhooks may reach though their address is private."
    )
    webhook_timeout: float = _setting(10.0, "Seconds a webhook's receiver gets to answer.", gt=0)
    safety_threshold: float = _setting(0.8, "NSFW score (0 to 1) from which a picture is blocked.", ge=0, le=1)
    image_classifier: str = _setting(
        "opennsfw", "What scores pictures: `opennsfw`, or the Hugging Face id or folder of an image classifier."
    )
    prompt_policy: str = _setting(
        "words", "What judges prompts: `words`, or besides those the Hugging Face id or folder of a text classifier."
    )
    prompt_threshold: float = _setting(0.5, "A text classifier's score from which a prompt is blocked.", ge=0, le=1)
    unsafe_labels: Names = _setting(
        frozenset({"explicit", "hentai", "nsfw", "porn", "sexy", "unsafe"}),
        "Comma-separated labels of a Hugging Face classifier that count as unsafe.",
    )
    c2pa_certificate: str = _setting(
        "", "PEM file of the certificates that outputs are signed with; without it, of an authority made in DATA/c2pa."
    )
    c2pa_key: str = _setting("", "PEM file of that certificate's private key (ECDSA P-256).")
    log_level: str = _setting("info", "debug, info, warning or error.")

    @field_validator("trusted_proxies", "fetch_allow_hosts", "webhook_allow_hosts", "unsafe_labels", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return frozenset(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @property
    def database_file(self) -> Path:
        """File of the store."""
        return (self.data / "openkontext.db").absolute()

    @property
    def database(self) -> str:
        """URL of the store."""
        return f"sqlite:///{self.database_file}"

    @property
    def blobs(self) -> str:
        """Folder of the pictures."""
        return str((self.data / "blobs").absolute())

    @property
    def authority(self) -> Path:
        """Folder of the local authority that signs outputs."""
        return self.data / "c2pa"

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for a child process."""
        return {f"OPENKONTEXT_{name.upper()}": as_text(getattr(self, name)) for name in type(self).model_fields}


def as_text(value: object) -> str:
    """A setting's value as the environment carries it."""
    return ",".join(sorted(value)) if isinstance(value, frozenset) else str(value)
