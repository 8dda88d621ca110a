"""What a picture's file says of itself, its receipt, tag and manifest compared: what is wrong, and what unproven."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.x509 import Certificate

from . import containers, credentials, receipts
from .credentials import Credentials, Unreadable
from .receipts import Receipt

_FORMATS: Final = ("jpeg", "png", "webp")
_UNSIGNED: Final = (
    "it isn't signed: anybody may have written what it says, or a program that saved it again took the signature away"
)
_NEWSCODES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MEANINGS: Final = {
    "compositeWithTrainedAlgorithmicMedia": "edited with AI",
    "trainedAlgorithmicMedia": "made with AI",
    "compositeSynthetic": "a composite with parts made with AI",
}


@dataclass(frozen=True)
class Findings:
    """What a file claims, and in words what of it is wrong (``broken``) or can't be known (``open``).

    All text is as the file has it, control characters and all.
    """

    receipt: Receipt | None
    source_type: str | None
    credentials: Credentials | None
    broken: tuple[str, ...]
    open: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``holds``, ``broken`` or ``unproven``."""
        return "broken" if self.broken else "unproven" if self.open else "holds"


def examine(data: bytes, anchors: Sequence[Certificate]) -> Findings:
    """Compare everything that a picture's file says of itself; ``anchors`` are the trusted authorities."""
    kind = containers.sniff(data)
    if kind is None:
        return Findings(None, None, None, ("it is no picture",), ())
    if kind not in _FORMATS:
        return Findings(None, None, None, (), (f"it is {kind.upper()}: only png, jpg and webp are signed here",))
    receipt, tag = receipts.read(data), receipts.source_type(data)
    wrong = list(_of_the_picture(receipt, data, kind))
    try:
        found = credentials.read(data, anchors)
    except Unreadable as error:
        return Findings(receipt, tag, None, (*wrong, f"its manifest can't be read: {error}"), ())
    if found is None:
        return Findings(receipt, tag, None, tuple(wrong), (_UNSIGNED,))
    wrong += [*found.problems, *_contradictions(receipt, found.receipt)]
    return Findings(receipt, tag, found, tuple(wrong), tuple(_doubts(tag, found)))


def meaning(source_type: str) -> str:
    """An IPTC digital source type in words, where there are some for it."""
    name = source_type.removeprefix(_NEWSCODES)
    return f"{_MEANINGS[name]} ({name})" if name in _MEANINGS else name


def _of_the_picture(receipt: Receipt | None, data: bytes, kind: str) -> Iterator[str]:
    """What is wrong with the picture, and where the receipt speaks of another."""
    try:
        found = containers.outline(data, kind)
    except containers.Malformed as error:
        yield f"the picture {error}"
        return
    if receipt is None:
        return
    if (receipt["width"], receipt["height"]) != (found.width, found.height):
        said = f"{receipt['width']} × {receipt['height']}"
        yield f"the receipt is of {said} pixels, and these are {found.width} × {found.height}"
    if receipt["output_format"].replace("jpg", "jpeg") != kind:
        yield f"the receipt is of a {receipt['output_format']}, and this is a {kind}"


def _contradictions(receipt: Receipt | None, signed: Mapping[str, Any] | None) -> Iterator[str]:
    """Where the receipt says another thing than the manifest's."""
    if receipt is None or signed is None:
        return
    apart = [name for name in receipt.keys() | signed.keys() if not _same(name, receipt, signed)]
    if apart:
        yield f"the receipt and the signed one differ in {', '.join(sorted(apart))}"


def _same(name: str, receipt: Mapping[str, Any], signed: Mapping[str, Any]) -> bool:
    if name == "prompt_cut":
        return True
    if name == "prompt" and (receipt.get("prompt_cut") or signed.get("prompt_cut")):
        # Each may hold the beginning only.
        texts = sorted((str(receipt.get(name, "")), str(signed.get(name, ""))), key=len)
        return texts[1].startswith(texts[0])
    return name in receipt and name in signed and receipt[name] == signed[name]


def _doubts(tag: str | None, found: Credentials) -> Iterator[str]:
    if tag and found.source_types and tag not in found.source_types:
        # No lie, perhaps: a tool that works on a picture may sign what it did and keep the tag of what was done before.
        yield f"the tag says {meaning(tag)}, and the manifest {', '.join(map(meaning, found.source_types))}"
    if found.expired:
        yield (
            f"the signer's certificate ran out on {found.valid[1]}: "
            "nothing tells whether it was used before that day or after"
        )
    elif not found.trusted:
        yield "its authority isn't trusted here: if you know that it is genuine, name its certificate by --trust"
