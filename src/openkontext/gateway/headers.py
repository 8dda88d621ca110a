"""The headers that every answer has: nothing is stored, sniffed, framed or told to other sites, unless a route says so.

There is none of Strict-Transport-Security: TLS ends at the proxy in front, which is who can promise it.
"""

from starlette.types import Message, Send

USUAL = {
    "cache-control": "no-store",
    # Whatever it holds, a picture that is HTML as well: it is no page, and runs nothing.
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_RAW = [(name.encode(), value.encode()) for name, value in USUAL.items()]


def with_usual_headers(send: Send) -> Send:
    """``send`` for an ASGI app; to each answer it adds those headers that the answer doesn't set itself.

    Nothing is held back: a stream's pieces go out as they come.
    """

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            # In lower case, as ASGI has them.
            given = {name for name, _ in headers}
            message["headers"] = headers + [usual for usual in _RAW if usual[0] not in given]
        await send(message)

    return sending
