// Calls of the API, with the key that was typed or, on the server's own machine, with the page's cookie.

import { ROOT } from "./dom.js";
import { askForKey, key, keyWasRefused, needsNoKey } from "./session.js";

/** What the server refused, or (status 0, code `offline`) that it can't be reached. */
export class ApiError extends Error {
  constructor({ status, code, message, requestId = null, retryAfter = null, body = null }) {
    super(message);
    Object.assign(this, { status, code, requestId, retryAfter, body });
  }
}

/** The headers that say who asks. */
function credentials() {
  const typed = key();
  // Other sites can't send this header: so the cookie is never used for them.
  return typed ? { "x-api-key": typed } : { "x-openkontext-page": "1" };
}

/**
 * Call `path` (without the root); resolves to the JSON body, null where there is none. Throws `ApiError`.
 * `json` or `form` (a FormData) is the body. A missing or wrong key is asked for.
 */
export async function api(path, options = {}) {
  let response = await send(path, options);
  if (response.status === 401 && !key() && needsNoKey()) {
    // The cookie ends after hours; any page that is loaded brings a new one.
    await send("/", {});
    response = await send(path, options);
  }
  while (response.status === 401) {
    const problem = await asError(response);
    keyWasRefused(problem.code);
    if (!(await askForKey(problem))) throw problem;
    response = await send(path, options);
  }
  return answer(response);
}

/** A response with a body to be read as it comes. Throws `ApiError`. */
export async function open(path, options = {}) {
  const response = await send(path, options);
  if (!response.ok) throw await asError(response);
  return response;
}

/** A file's signed address as one of this page's origin, whatever name the server gives itself. */
export function filePath(url) {
  if (!url) return null;
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
}

async function send(path, { method, json, form, headers, signal }) {
  const body = json === undefined ? form : JSON.stringify(json);
  const kind = json === undefined ? {} : { "content-type": "application/json" };
  try {
    return await fetch(ROOT + path, {
      method: method ?? (body ? "POST" : "GET"),
      headers: { ...credentials(), ...kind, ...headers },
      body,
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, code: "offline", message: "The server can't be reached. Is it still running?" });
  }
}

async function answer(response) {
  if (!response.ok) throw await asError(response);
  return response.status === 204 ? null : response.json();
}

async function asError(response) {
  const body = await response.json().catch(() => ({}));
  return new ApiError({
    status: response.status,
    code: body.code ?? "internal",
    message: body.error ?? `The server answered ${response.status}.`,
    requestId: body.request_id,
    retryAfter: Number(response.headers.get("retry-after")) || null,
    body,
  });
}
