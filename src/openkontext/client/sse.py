"""Server-sent events, taken apart: bytes in, messages out. No input or output of its own.

Source: the HTML standard, 9.2.6 "Interpreting an event stream".
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Message:
    """One event as it came; ``id`` is the last one that the stream named, "" before the first."""

    event: str
    data: str
    id: str


class Parser:
    """Takes a stream's bytes apart, however they are cut.

    ``last_id`` is the last event's id, and ``retry`` the seconds that the server wants before a new connection, None
    until it has said so; both outlive a connection.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: float | None = None
        self.connect()

    def connect(self) -> None:
        """A new connection begins: what the one before left unfinished is dropped."""
        self._id = self.last_id
        self._event = ""
        self._data: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """The messages that are whole with this chunk."""
        text = self._decoder.decode(chunk)
        if not text:
            return
        # The line ended with its CR already, so that an event is out before its LF arrives.
        new = text.removeprefix("\n") if self._after_cr else text
        self._after_cr = text.endswith("\r")
        *lines, self._rest = _LINE_END.split(self._rest + new)
        for line in lines:
            if line:
                self._field(line)
            elif message := self._dispatch():
                yield message

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value) / 1000

    def _dispatch(self) -> Message | None:
        self.last_id = self._id
        message = Message(self._event or "message", "\n".join(self._data), self._id) if self._data else None
        self._event, self._data = "", []
        return message
