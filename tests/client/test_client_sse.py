"""The parser of server-sent events, by the standard's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkontext.client.sse import Message, Parser


def said(data: str, id: str = "", event: str = "message") -> Message:
    return Message(event, data, id)


CASES = {
    "one line": (b"data: a\n\n", [said("a")]),
    "carriage returns": (b"data: a\r\rdata: b\r\r", [said("a"), said("b")]),
    "both": (b"data: a\r\n\r\ndata: b\r\n\r\n", [said("a"), said("b")]),
    "both, in an event of several": (b"event: x\r\ndata: a\r\ndata: b\r\n\r\n", [said("a\nb", event="x")]),
    "mixed": (b"event: x\rdata: a\n\r\n", [said("a", "", "x")]),
    "several lines": (b"data: a\ndata\ndata:  b\n\n", [said("a\n\n b")]),
    "named": (b"event: done\nid: 7\ndata: {}\n\n", [said("{}", "7", "done")]),
    "the name is forgotten": (b"event: x\ndata: a\n\ndata: b\n\n", [said("a", "", "x"), said("b")]),
    "no data is no event": (b"event: x\n\ndata: b\n\n", [said("b")]),
    "empty data is one": (b"data\n\n", [said("")]),
    "the id stays": (b"id: 1\ndata: a\n\ndata: b\n\n", [said("a", "1"), said("b", "1")]),
    "an empty id resets": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [said("a", "1"), said("b")]),
    "an id with NUL is none": (b"id: 1\nid: 2\0\ndata: a\n\n", [said("a", "1")]),
    "comments": (b": hello\n:\ndata: a\n: b\n\n", [said("a")]),
    "unknown fields": (b"color: red\nData: x\n data: y\ndata: a\n\n", [said("a")]),
    "one space goes": (b"data:a\n\ndata:  b\n\n", [said("a"), said(" b")]),
    "colons stay": (b"data: a: b:c\n\n", [said("a: b:c")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [said("a")]),
    "only the first one": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [said("a")]),
    "other line ends are none": ("data: a\u2028b\x0bc\x85d\n\n".encode(), [said("a\u2028b\x0bc\x85d")]),
    "what isn't UTF-8": (b"data: a\xffb\n\n", [said("a\ufffdb")]),
    "letters": ("data: é漢😀\n\n".encode(), [said("é漢😀")]),
    "unfinished": (b"data: a\n\ndata: b\n", [said("a")]),
    "nothing": (b"", []),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "expected"), CASES.values(), ids=CASES)
def test_streams_are_read_by_the_rules(stream: bytes, expected: list[Message]) -> None:
    """Whole, and byte by byte."""
    whole, bytewise = Parser(), Parser()
    assert expected == list(whole.feed(stream))
    assert expected == [message for byte in stream for message in bytewise.feed(bytes([byte]))]


@given(st.data())
def test_it_does_not_matter_how_a_stream_is_cut(data: st.DataObject) -> None:
    """Network packets end anywhere: within a line end, a letter, the byte order mark."""
    stream = b"".join(data.draw(st.lists(st.sampled_from([case for case, _ in CASES.values()]))))
    stream += data.draw(st.binary(max_size=20))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    whole, cut = Parser(), Parser()
    expected = list(whole.feed(stream))
    ends = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    assert expected == [message for start, end in ends for message in cut.feed(stream[start:end])]
    assert (whole.last_id, whole.retry) == (cut.last_id, cut.retry)


def test_an_event_is_out_with_its_last_byte() -> None:
    """A stream of carriage returns doesn't wait for a line feed that may never come."""
    assert [said("a")] == list(Parser().feed(b"data: a\r\r"))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"retry: 2500\n", 2.5),
        (b"retry: 0\n", 0.0),
        (b"retry: 1.5\n", None),
        (b"retry: -1\n", None),
        (b"retry\n", None),
        ("retry: ٣\n".encode(), None),
    ],
)
def test_the_server_names_its_pause(stream: bytes, expected: float | None) -> None:
    """Milliseconds in plain digits; anything else is left alone."""
    parser = Parser()
    assert [] == list(parser.feed(stream))
    assert expected == parser.retry


def test_a_new_connection_keeps_the_id_and_the_pause_alone() -> None:
    """What was left unfinished is dropped, also its id: it will be sent again."""
    parser = Parser()
    assert [said("a", "1")] == list(parser.feed(b"retry: 10\nid: 1\ndata: a\n\nevent: x\nid: 2\ndata: b"))
    parser.connect()
    assert ("1", 0.01) == (parser.last_id, parser.retry)
    assert [said("c", "1")] == list(parser.feed(b"\xef\xbb\xbfdata: c\n\n"))
