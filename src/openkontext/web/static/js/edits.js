// An edit as the pages see it, made of what the API says of a request: a full body or an entry of the history.

import { filePath } from "./api.js";

const STATES = { QUEUED: "queued", PROCESSING: "processing", COMPLETED: "done", FAILED: "failed" };

/**
 * `{id, status, input, output, prompt, parameters, seed, cost, times: {inference, queue, total}, parentId,
 * createdAt, endedAt, expiresAt, pinned, error, code, moderation, warnings, fileName}`: times in seconds, moments
 * in ISO 8601, the seed as text, for it may be larger than numbers here can be; null what isn't known.
 * `body`: a full body (COMPLETED or FAILED) or a history entry; what it doesn't say is taken from `before`.
 */
export function toEdit(body, before = {}) {
  const parameters = body.parameters ?? before.parameters ?? {};
  const known = {
    id: body.request_id,
    status: body.status,
    input: body.input,
    output: body.output,
    prompt: body.prompt ?? parameters.prompt,
    parameters,
    seed: body.seed ?? exact(parameters.seed),
    cost: body.cost ?? body.metrics?.cost ?? (body.status === "FAILED" ? 0 : null),
    times: timesOf(body.metrics),
    parentId: body.parent_request_id,
    createdAt: body.created_at,
    endedAt: body.ended_at,
    expiresAt: expiryOf(body.output),
    pinned: body.pinned,
    error: body.error,
    code: body.code,
    moderation: body.moderation,
    warnings: body.warnings,
    fileName: body.images?.[0].file_name ?? nameOf(body),
  };
  return merged(before, known);
}

/** Its state: `queued`, `processing`, `done`, `failed`; `gone` once its pictures are, by time or on demand. */
export function stateOf(edit) {
  const isGone = { COMPLETED: !edit.output, FAILED: !edit.error }[edit.status];
  return isGone ? "gone" : STATES[edit.status];
}

/** The address of a picture for this page: of the same origin, or one of this page's own (blob:, data:). */
export const pictureOf = (url) => (/^(blob|data):/.test(url ?? "") ? url : filePath(url));

/** The numbers of the seed that a number here can hold exactly, as text. */
const exact = (seed) => (Number.isSafeInteger(seed) ? String(seed) : null);

function timesOf(metrics) {
  if (!metrics) return null;
  return { inference: metrics.inference_time, queue: metrics.queue_time, total: metrics.total_time };
}

// The address is signed until the picture goes.
function expiryOf(output) {
  const expires = Number(output && new URL(output, location.href).searchParams.get("expires"));
  return expires ? new Date(expires * 1000).toISOString() : null;
}

function nameOf({ request_id: id, output }) {
  return output ? `${id}.${new URL(output, location.href).pathname.split(".").pop()}` : null;
}

function merged(before, known) {
  const fields = Object.keys(known).map((name) => [name, known[name] ?? before[name] ?? null]);
  return Object.fromEntries(fields);
}
