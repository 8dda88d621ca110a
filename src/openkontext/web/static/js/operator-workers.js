// The workers' cards: each is made once and then only written to, so that nothing moves under the pointer.

import { announce, h, replace, write } from "./dom.js";
import { ago, seconds, when } from "./format.js";

const WORDS = {
  loading: "loading the model", ready: "ready", busy: "busy", draining: "draining", drained: "drained",
  crashed: "crashed", stopped: "stopped", lost: "not seen", gone: "gone",
};
const DOING = {
  ready: "No edit to run.",
  loading: "Takes edits once it has the model.",
  drained: "Takes no edits until it is resumed.",
};
const WORTH_SAYING = ["draining", "drained", "crashed", "stopped", "lost"];

/** The cards in `list`. `change(worker, verb)`: drain or resume one; resolves to the worker as it is then. */
export class Workers {
  #cards = new Map();

  constructor(list, change) {
    this.list = list;
    this.change = change;
  }

  /** Show these, and none else; new ones come last, wherever the server lists them. */
  show(workers) {
    const inOrder = this.#cards.size ? workers : workers.toSorted((one, other) => other.alive - one.alive);
    for (const worker of inOrder) this.update(worker);
    const there = new Set(workers.map((worker) => worker.id));
    for (const [id, card] of this.#cards) if (!there.has(id)) this.#remove(id, card);
  }

  /** Show one as it is now. */
  update(worker) {
    if (!this.#cards.has(worker.id)) this.#add(worker.id);
    this.#cards.get(worker.id).show(worker);
  }

  #add(id) {
    const card = new Card(this.change);
    this.#cards.set(id, card);
    this.list.append(card.node);
  }

  /** A card that goes would move those behind it: not while somebody points at one. */
  #remove(id, card) {
    if (this.list.matches(":hover, :focus-within")) return card.leave();
    card.node.remove();
    this.#cards.delete(id);
  }
}

class Card {
  #name = h("h3");
  #badge = h("span", { class: "badge" });
  #verb = h("span");
  #whom = h("span", { class: "visually-hidden" });
  #button = h("button", { class: "button small", type: "button" }, this.#verb, this.#whom);
  #facts = { worker: h("dd", { class: "mono" }), checkpoint: h("dd"), up: h("dd"), seen: h("dd") };
  #now = h("div", { class: "now" });
  #told = h("p");
  #bar = h("progress", { class: "bar", "aria-label": "Steps of the edit" });
  #worker = null;
  #isBusy = false;

  constructor(change) {
    this.#button.addEventListener("click", () => this.#press(change));
    const { worker, checkpoint, up, seen } = this.#facts;
    const facts = [["Worker", worker], ["Checkpoint", checkpoint], ["Running for", up], ["Last seen", seen]];
    this.node = h("li", { class: "card worker", dataset: { testid: "worker" } },
      h("div", { class: "worker-head" }, h("div", { class: "named" }, this.#name, this.#badge), this.#button),
      h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), value])),
      this.#now);
  }

  show(worker) {
    const state = worker.alive ? worker.state : worker.state === "stopped" ? "stopped" : "lost";
    this.#state(state, worker);
    this.#worker = worker;
    write(this.#name, worker.device ?? "Worker");
    write(this.#facts.worker, `${worker.id}${worker.pid ? `, process ${worker.pid}` : ""}`);
    write(this.#facts.checkpoint, worker.checkpoint ?? "–");
    write(this.#facts.up, worker.alive ? seconds((Date.now() - Date.parse(worker.started_at)) / 1000) : "–");
    write(this.#facts.seen, ago(worker.seen_at));
    this.#facts.seen.title = when(worker.seen_at);
    this.#offer(worker.drain ? "resume" : "drain");
    this.#doing(worker);
  }

  /** The server no longer knows it. */
  leave() {
    this.#state("gone", this.#worker);
    this.#button.setAttribute("aria-disabled", "true");
  }

  #state(state, worker) {
    const before = this.node.dataset.state;
    if (before === state) return;
    this.node.dataset.state = this.#badge.dataset.state = state;
    write(this.#badge, WORDS[state] ?? state);
    if (before && WORTH_SAYING.includes(state)) announce(`Worker ${worker.id} is ${WORDS[state]}`);
  }

  #offer(verb) {
    this.#button.dataset.testid = verb;
    write(this.#verb, verb === "drain" ? "Drain" : "Resume");
    write(this.#whom, ` worker ${this.#worker.id}`);
    const isUseless = verb === "drain" && !this.#worker.alive;
    this.#button.setAttribute("aria-disabled", String(this.#isBusy || isUseless));
  }

  #doing({ job, message, alive, state }) {
    this.#now.dataset.kind = job ? "job" : message ? "message" : "idle";
    this.#told.title = job?.request_id ?? "";
    if (!job) {
      write(this.#told, message || (alive && DOING[state]) || "");
      return replace(this.#now, this.#told);
    }
    write(this.#told, `Edit ${job.request_id.slice(0, 8)}, step ${job.step} of ${job.steps}`);
    this.#bar.max = job.steps || 1;
    this.#bar.value = job.step;
    if (!this.#bar.isConnected) replace(this.#now, this.#told, this.#bar);
  }

  async #press(change) {
    if (this.#button.getAttribute("aria-disabled") === "true") return;
    this.#isBusy = true;
    this.#button.setAttribute("aria-disabled", "true");
    await change(this.#worker, this.#button.dataset.testid);
    this.#isBusy = false;
    this.#offer(this.#worker.drain ? "resume" : "drain");
  }
}
