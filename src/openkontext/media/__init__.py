"""Bytes and pictures: stored (`blobs`), given out (`signing`), taken in (`datauri`, `fetch`) and coded (`images`).

Import the modules themselves: the gateway needs none of what `fetch` pulls in, and stays small.
"""
