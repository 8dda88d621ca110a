"""`verify`: what a picture's file claims of itself, and whether it holds."""

import json
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from openkontext.media import receipts
from openkontext.settings import Settings

from .apart import Died, apart
from .flags import AsJson, with_settings

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from openkontext.media.claims import Findings
    from openkontext.media.credentials import Credentials

# 2 is what a wrong command line ends with.
_STATUSES: Final = {"holds": 0, "broken": 1, "unproven": 3}
_VERDICTS: Final = {
    "holds": "signed by an authority that is trusted here, and unchanged since",
    "broken": "it doesn't hold",
    "unproven": "nothing is proven",
}
_MAX_BYTES: Final = 200_000_000
# A reader that believes the lengths in a file may want any amount.
_MEMORY, _SECONDS = 1_000_000_000, 60
# Of a line; the prompt may be a novel.
_LONGEST: Final = 300


@partial(with_settings, names=["data"])
def verify(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="A png, jpg or webp.", exists=True, dir_okay=False)],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Authorities to trust, not the data folder's and your own."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a picture's file claims of itself, who vouches for it, and whether it was changed since.

    Status 0: signed by a trusted authority and unchanged. 1: changed, contradictory or damaged. 3: nothing is proven,
    since the file isn't signed, its signer isn't trusted here, or the signer's certificate ran out.
    """
    report = partial(_report, file, _authorities(trust, settings.authority), as_json)
    try:
        said = apart(partial(report, _read(file)), memory=_MEMORY, seconds=_SECONDS)
    except Died as error:
        said = report(None, f"it can't be examined: {error}")
    status, _, text = said.partition("\n")
    typer.echo(text)
    raise typer.Exit(int(status))


def _report(file: Path, anchors: "list[Certificate]", as_json: bool, data: bytes | None, reason: str = "") -> str:
    """The exit status, and below it what to print; of a file that couldn't be examined, the ``reason``."""
    # Here and not above: other commands needn't load what this takes.
    from openkontext.media.claims import Findings, examine

    with warnings.catch_warnings(action="ignore"):
        # Pillow's, of metadata that it can't read.
        findings = examine(data, anchors) if data is not None else Findings(None, None, None, (reason,), ())
    if as_json:
        # With every character escaped that a terminal could take for a command.
        text = json.dumps({"file": str(file), **_as_json(findings, anchors)}, indent=2)
    else:
        text = "\n".join(_lines(file, findings, anchors))
    return f"{_STATUSES[findings.verdict]}\n{text}"


def _authorities(trust: Path | None, service: Path) -> "list[Certificate]":
    """Those of the file ``trust`` or, without one, of the service's folder and of the user's own."""
    from openkontext.media.authority import CERTIFICATE, CannotSign, own_folder, read_certificates

    own = [folder / CERTIFICATE for folder in (service, own_folder())]
    try:
        files = [trust] if trust else [file for file in own if file.exists()]
        return [certificate for file in files for certificate in read_certificates(file)]
    except CannotSign as error:
        raise typer.BadParameter(str(error)) from None


def _read(file: Path) -> bytes:
    # A pipe may never end.
    if not file.is_file():
        raise typer.BadParameter(f"{file} isn't a file")
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise typer.BadParameter(f"{file} is larger than {_MAX_BYTES // 1_000_000} MB")
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES)
    except OSError as error:
        raise typer.BadParameter(f"can't read {file}: {(error.strerror or str(error)).lower()}") from None


def _lines(file: Path, findings: "Findings", anchors: "Sequence[Certificate]") -> Iterator[str]:
    yield f"{_plain(file)}: {_VERDICTS[findings.verdict]}"
    for reason in (*findings.broken, *findings.open):
        yield f"  - {_plain(reason)}"
    for name, said in _claims(findings, anchors):
        yield f"  {name:<11} {_plain(said)}"


def _claims(findings: "Findings", anchors: "Sequence[Certificate]") -> Iterator[tuple[str, str]]:
    """What the file says, in lines: names and values."""
    from openkontext.media.claims import meaning

    found = findings.credentials
    receipt = findings.receipt or (receipts.checked(found.receipt) if found else None)
    if receipt:
        yield "made by", f"openkontext {receipt['openkontext']} at {receipt['created_at']}"
        yield "checkpoint", f"{receipt['checkpoint']}, fingerprint {receipt['fingerprint']}"
        yield "prompt", receipt.get("prompt", "(left out)")
        yield "seed", str(receipt["seed"])
        yield "input", f"SHA-256 {receipt['input_sha256']} of its pixels"
    elif found:
        yield "made by", found.generator
    if findings.source_type:
        yield "tag", meaning(findings.source_type)
    if found:
        yield "manifest", ", ".join(map(meaning, found.source_types)) or "(no source type)"
        yield "signed by", f"{found.signer}, a certificate for {found.valid[0]} to {found.valid[1]}"
        yield "authority", ", ".join([found.authority, *_fingerprints(found, anchors)])


def _fingerprints(found: "Credentials", anchors: "Sequence[Certificate]") -> list[str]:
    """Of the trusted authorities, those that have the name of the signer's."""
    from openkontext.media.authority import fingerprint, name_of

    if found.problems or not found.trusted:
        return []
    return [f"SHA-256 {fingerprint(anchor)}" for anchor in anchors if name_of(anchor) == found.authority]


def _as_json(findings: "Findings", anchors: "Sequence[Certificate]") -> dict[str, Any]:
    found = findings.credentials
    manifest = found and vars(found) | {"authority_fingerprints": _fingerprints(found, anchors)}
    return {"verdict": findings.verdict} | vars(findings) | {"credentials": manifest}


def _plain(text: object) -> str:
    """``text`` for a terminal: no control character and no change of the text's direction reaches it."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text)[:_LONGEST])
    return shown if len(str(text)) <= _LONGEST else f"{shown}…"
