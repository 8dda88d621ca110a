// The foot of the form: Run and Cancel, what an edit would cost, and why one was refused.

import { $, tell } from "./dom.js";
import { credits, seconds } from "./format.js";
import { estimate } from "./runs.js";

const PAUSE = 350;
// A second press of the button that was Run is no wish to cancel.
const DEAF = 600;

/** Run, which is Cancel as long as an edit is under way. */
export class RunButton {
  #run = $("#run");
  #cancel = $("#cancel");
  #since = 0;
  #ticking = null;

  constructor(onCancel) {
    // By when it was pressed: a busy page hears of it late.
    this.#cancel.addEventListener("click", (event) => {
      if (event.timeStamp - this.#since > DEAF) onCancel();
    });
    if (/mac/i.test(navigator.platform)) $("kbd", this.#run).textContent = "⌘ ↵";
  }

  /** Whether an edit can be asked for now. */
  get isReady() {
    return !this.#run.hidden && !this.#ticking;
  }

  /** Turn into Cancel, or back; the focus goes along. */
  busy(isBusy) {
    if (isBusy === this.#run.hidden) return;
    const [from, to] = isBusy ? [this.#run, this.#cancel] : [this.#cancel, this.#run];
    const hadFocus = document.activeElement === from;
    to.hidden = false;
    if (hadFocus) to.focus();
    from.hidden = true;
    this.#since = performance.now();
    this.cancelling(false);
  }

  /** Say that it is being cancelled. */
  cancelling(isCancelling) {
    this.#cancel.textContent = isCancelling ? "Cancelling…" : "Cancel";
    this.#cancel.setAttribute("aria-disabled", String(isCancelling));
  }

  /** Be of no use for so many seconds, counting them down. */
  pause(left) {
    clearTimeout(this.#ticking);
    this.#ticking = left > 0 ? setTimeout(() => this.pause(left - 1), 1000) : null;
    this.#run.setAttribute("aria-disabled", String(left > 0));
    this.#run.firstChild.data = left > 0 ? `Run in ${seconds(left)} ` : "Run ";
    if (left === 0) refuse("");
  }
}

/** Say above Run why nothing runs; "" for nothing. */
export const refuse = (text) => tell($("#run-error"), text);

/** What an edit would cost and take, asked of the server a moment after the last change. */
export class Estimate {
  #line = $("#estimate");
  #timer = null;
  #asking = null;

  /** The output's `{width, height}` as last estimated, or null. */
  size = null;

  /** Estimate `count` edits of what `ask` resolves to: the values to send, or null for nothing to ask. */
  update(count, ask) {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.size = null;
    this.#timer = setTimeout(() => this.#ask(count, ask), PAUSE);
  }

  async #ask(count, ask) {
    const { signal } = this.#asking = new AbortController();
    // What can't be had is not missed: running it says what is wrong.
    const values = await ask().catch(() => null);
    const answer = values && !signal.aborted ? await estimate(values, signal).catch(() => null) : null;
    if (!signal.aborted) this.#show(count, answer);
  }

  #show(count, answer) {
    this.size = answer?.width ? { width: answer.width, height: answer.height } : null;
    const price = answer?.cost ?? Number(this.#line.dataset.price);
    const text = [credits(price * count), ...inWords(answer ?? {}, count)].join(" · ");
    this.#line.textContent = this.#line.title = text;
  }
}

function inWords({ width, height, queue_seconds: queue, run_seconds: run }, count) {
  const each = count > 1 ? " each" : "";
  return [
    width && `${width} × ${height}`,
    run && `about ${seconds(run)}${each}${queue ? ` + ${seconds(queue)} wait` : ""}`,
  ].filter(Boolean);
}
