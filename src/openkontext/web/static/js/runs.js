// Edits under way: asked for, at most once each, and followed to their end.

import { api } from "./api.js";
import { toEdit } from "./edits.js";
import { asTexts } from "./form.js";

const SLUG = document.documentElement.dataset.slug;
const SEEDS = 2n ** 63n;

// What was asked for, and the keys it went by, as long as it isn't known whether the server has it.
let unanswered = null;

/**
 * Ask for an edit for each of `all` (values by name of the parameter, the picture's address among them); resolves
 * to `{ids, error}`: of those that were taken in, and the `ApiError` that stopped the rest, or null. Asking for the
 * same again after an answer that never came is the same request, and isn't charged twice.
 */
export async function submit(all) {
  const what = JSON.stringify(all);
  if (unanswered?.what !== what) unanswered = { what, keys: all.map(newKey) };
  const { keys } = unanswered;
  const ids = [];
  for (const [index, values] of all.entries()) {
    try {
      ids.push(await submitOne(values, keys[index]));
    } catch (error) {
      if (error.status >= 400 && error.status < 500) unanswered = null;
      return { ids, error };
    }
  }
  unanswered = null;
  return { ids, error: null };
}

async function submitOne(values, idempotencyKey) {
  // As a form: a seed has up to 19 digits, more than a number in JSON can carry from here.
  const headers = { "idempotency-key": idempotencyKey };
  return (await api(`/v2/${SLUG}`, { form: formOf(values), headers })).request_id;
}

/** What an edit would be: `{cost, width, height, queue_seconds, run_seconds}`, null what isn't known. */
export const estimate = (values, signal) => api(`/v2/${SLUG}/estimate`, { form: formOf(values), signal });

/** So many seeds from `seed` (as in `Form`) on; for null, so many that the server draws. */
export function seedsFrom(seed, count) {
  if (seed === null) return Array(count).fill(null);
  return Array.from({ length: count }, (_, index) => String((BigInt(seed) + BigInt(index)) % SEEDS));
}

/** What the API says of a request now, with what `before` knows; a FAILED one too. Throws `ApiError`. */
export async function lookUp(id, before) {
  try {
    return toEdit(await api(`/v2/requests/${encodeURIComponent(id)}`), before ?? {});
  } catch (error) {
    if (error.status !== 422) throw error;
    return toEdit(error.body, before ?? {});
  }
}

/** The newest edit that isn't done yet, or null. */
export async function newestUnderWay() {
  const { requests: [entry] } = await api("/v2/requests?status=QUEUED,PROCESSING&per_page=1");
  return entry ? toEdit(entry) : null;
}

/**
 * An edit that is followed. `edit` is what is known of it, `error` the `ApiError` where it can't be followed any
 * more. `listener`: `{turned(run), queued(run, {position, eta}), processing(run, {step, steps, eta_seconds}),
 * preview(run, src), lost(run), back(run), ended(run)}`; `turned` is told when its state changes.
 */
export class Run {
  #listener;
  #abort = new AbortController();
  #standing = { status: null, position: null, step: 0, steps: 0, eta_seconds: null };
  #preview = null;
  error = null;
  isEnded = false;

  /** `isOwn`: it was asked for in this tab. */
  constructor(edit, listener, isOwn) {
    this.edit = edit;
    this.isOwn = isOwn;
    this.#listener = listener;
    this.#follow();
  }

  /** Tell the listener again where it stands, for who looks only now. */
  tellAgain() {
    if (this.#standing.status) this.#tellStanding();
    if (this.#preview) this.#listener.preview(this, this.#preview);
  }

  /** Have the server stop it. Throws `ApiError`. */
  async cancel() {
    // One that has ended would be erased.
    if (!this.isEnded) await api(`/v2/requests/${this.edit.id}`, { method: "DELETE" });
  }

  /** Follow it no longer; it goes on. */
  leave() {
    this.#abort.abort();
  }

  async #follow() {
    try {
      // Loaded with the first edit: nobody needs it before.
      const { follow } = await import("./events.js");
      this.edit = toEdit(await follow(this.edit.id, this.#handlers(), this.#abort.signal), this.edit);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.error = error;
    }
    this.isEnded = true;
    this.#listener.ended(this);
  }

  #handlers() {
    return {
      onStatus: ({ status, queue_position: position }) => this.#stands({ status, position }),
      onProgress: (progress) => this.#stands(progress),
      onPreview: ({ image }) => {
        this.#preview = image;
        this.#listener.preview(this, image);
      },
      onLost: () => this.#listener.lost(this),
      onBack: () => this.#listener.back(this),
    };
  }

  #stands(news) {
    Object.assign(this.#standing, news);
    const { status } = this.#standing;
    if (status !== this.edit.status) {
      this.edit = { ...this.edit, status };
      this.#listener.turned(this);
    }
    this.#tellStanding();
  }

  #tellStanding() {
    const { status, position, ...progress } = this.#standing;
    if (status === "QUEUED") this.#listener.queued(this, { position, eta: progress.eta_seconds });
    else this.#listener.processing(this, progress);
  }
}

function formOf(values) {
  const form = new FormData();
  for (const [name, text] of Object.entries(asTexts(values))) form.append(name, text);
  return form;
}

// Not randomUUID, which is there on secure origins alone.
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
