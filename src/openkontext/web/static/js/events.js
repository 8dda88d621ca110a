// Following a request: the server's events, read with fetch, since an EventSource can't send a key.

import { ApiError, open } from "./api.js";

const PAUSES = [300, 1000, 2000, 4000];

/**
 * Follow request `id` to its end; resolves to the full body, FAILED or COMPLETED. A lost connection is taken up again
 * behind the last event, for as long as it takes: `onLost` and `onBack` tell. Rejects with `ApiError` where the server
 * refuses (404: it is gone), and with an AbortError once `signal` fires.
 */
export async function follow(id, { onStatus, onProgress, onPreview, onLost, onBack } = {}, signal) {
  const told = { status: onStatus, progress: onProgress, preview: onPreview };
  let last = "";
  let failures = 0;
  for (;;) {
    try {
      const headers = last ? { "last-event-id": last } : {};
      const response = await open(`/v2/requests/${encodeURIComponent(id)}/events`, { headers, signal });
      if (failures) onBack?.();
      failures = 0;
      for await (const event of parse(response.body)) {
        if (event.kind === "done") return event.data;
        if (event.kind === "error") throw refused(event.data);
        last = event.id || last;
        told[event.kind]?.(event.data);
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    // The server ended the stream (it is shutting down), or the connection broke: both pass.
    failures += 1;
    if (failures === 1) onLost?.();
    await pause(PAUSES[Math.min(failures, PAUSES.length) - 1], signal);
  }
}

/** Read a stream of server-sent events: `{kind, id, data}` with the data parsed. */
export async function* parse(stream) {
  let rest = "";
  for await (const text of chunks(stream.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = read(block);
      if (event) yield event;
    }
  }
}

// Safari's streams can't be iterated yet.
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(block) {
  const event = { kind: "message", id: "", text: [] };
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event.kind = value;
    if (name === "id") event.id = value;
    if (name === "data") event.text.push(value);
  }
  return event.text.length ? { kind: event.kind, id: event.id, data: JSON.parse(event.text.join("\n")) } : null;
}

const refused = (body) => new ApiError({ status: 422, code: body.code, message: body.error, body });

function isPassing(error) {
  if (error.name === "AbortError") return false;
  if (error instanceof ApiError) return error.status === 0 || error.status === 429 || error.status >= 500;
  // A TypeError is what a connection that breaks in the middle of a body ends with.
  return error instanceof TypeError;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
