// The result: where an edit stands, the picture as it comes about, and at last before and after.

import { $, $$, announce, bringIntoSight, h, replace } from "./dom.js";
import { Compare } from "./compare.js";
import { pictureOf } from "./edits.js";
import { explain } from "./failures.js";
import { seconds, short } from "./format.js";
import { fetched, Live, load } from "./pictures.js";
import { facts, life } from "./result-facts.js";

const SPOKEN = 120;
const UNDER_WAY = ["sending", "queued", "processing"];
// What is to be seen is one of the section's states or a part of one: an edit that hasn't arrived at the server
// yet, and one that is done and whose picture is no more.
const STATES = { sending: "queued", gone: "done" };

/** The section of _result.html; its `data-state` is one of idle, queued, processing, done and failed. */
export class ResultView {
  #edit = null;
  #face = "idle";
  // Its pictures: the address of the one it is made of, and the one that was made.
  #before = null;
  #image = null;
  #fullSize = null;

  /** `actions`: `{cancel(), retry(edit), useAsInput(edit), sameSeed(edit), variations(edit), pin(edit)}`. */
  constructor(section, actions) {
    this.section = section;
    this.live = new Live($(".live", section));
    this.compare = new Compare($(".comparison", section));
    const all = { ...actions, fullSize: () => this.#openFullSize() };
    section.addEventListener("click", ({ target }) => {
      const name = target.closest("[data-action]")?.dataset.action;
      if (name) all[name](this.#edit);
    });
    const views = $(".segments", section);
    views.addEventListener("change", ({ target }) => this.compare.turn(target.value === "compare"));
  }

  /** The edit that is shown, or null. */
  get edit() {
    return this.#edit;
  }

  /** Nothing to show yet. */
  idle() {
    this.#edit = null;
    this.#turn("idle");
  }

  /**
   * A new edit is on its way to the server; what follows is about it. `edit`: what is known of it so far, its
   * `input` above all; `size`: `{width, height}` of the output as estimated, null for the input's.
   */
  begin(edit, size = null) {
    this.#edit = edit;
    this.#lift(edit, size);
    this.#say(null, "Sending…");
    this.#turn("sending");
  }

  /** The server has taken it in, as this edit. */
  accepted(edit) {
    this.#edit = edit;
  }

  /** It waits: `position` in the queue, 1 for the next one, and the seconds until it is done. */
  queued({ position = null, eta = null } = {}) {
    this.#say(null, placeInWords(position), eta === null ? "" : `· done in about ${roughly(eta)}`);
    this.#turn("queued", `Waiting: ${placeInWords(position)}`);
  }

  /** It runs: `step` of `steps`, and the seconds left. */
  processing({ step = 0, steps = 0, eta_seconds: eta = null } = {}) {
    const share = steps ? step / steps : 0;
    this.live.sharpen(share);
    const place = step ? `Step ${step} of ${steps}` : "Starting";
    this.#say(share, place, eta === null ? "" : `· about ${roughly(eta)} left`);
    this.#turn("processing", "Your edit has started");
  }

  /** The picture as it is by now; resolves once it is shown. */
  preview(src) {
    return this.live.preview(src);
  }

  /** An edit that is COMPLETED, the one under way or one to be looked at again; resolves once it is shown. */
  async done(edit) {
    const isSame = this.#edit?.id === edit.id;
    const isAwaited = this.#awaits(edit);
    this.#edit = edit;
    // What was chosen here is at hand; from the server's address the same picture would have to be loaded.
    if (!isSame) this.#before = pictureOf(edit.input);
    if (!isSame || this.#face !== "done") await this.#show(edit);
    if (this.#edit !== edit) return;
    this.#describe(edit);
    const told = isAwaited ? "Done" : "Shown";
    this.#turn(this.#image ? "done" : "gone", `${told}: ${inBrief(edit.prompt)}`, !isSame);
    if (!isSame && !isAwaited) this.#comeIntoSight();
  }

  /** What became of an edit, or of asking for one: an `ApiError`, or an edit that is FAILED. */
  failed(error, edit = this.#edit) {
    const isSame = this.#edit?.id === edit?.id;
    const isAwaited = isSame || this.#awaits(edit);
    if (!isSame) this.#lift(edit, null);
    this.#edit = edit;
    const { title, what, hint, calm } = explain(error);
    const panel = $(".result-error", this.section);
    panel.dataset.kind = calm ? "info" : "error";
    $("h3", panel).textContent = title;
    $("p", panel).textContent = `${what} ${hint}`;
    $("code", panel).textContent = error.code;
    this.#turn("failed", `${title}. ${what} ${hint}`, !isSame);
    if (!isAwaited) this.#comeIntoSight();
  }

  /** The connection is lost: the edit goes on, unseen. */
  lost() {
    $("[data-testid=reconnecting]", this.section).hidden = false;
    announce("The connection is lost and being tried again");
  }

  /** It is there again. */
  back() {
    $("[data-testid=reconnecting]", this.section).hidden = true;
    announce("Connected again");
  }

  /** Change what is to be seen, and tell of it if that is news, or another edit. */
  #turn(face, news, isOther = false) {
    if (news && (face !== this.#face || isOther)) announce(news);
    const hadFocus = this.section.contains(document.activeElement);
    const prompt = $(".result-prompt", this.section);
    prompt.textContent = prompt.title = this.#edit?.prompt ?? "";
    this.#face = face;
    this.section.dataset.state = STATES[face] ?? face;
    for (const part of $$("[data-when]", this.section)) {
      part.hidden = !part.dataset.when.split(" ").includes(face);
    }
    if (!this.compare.canCompare) $(".segments", this.section).hidden = true;
    // What had the focus is gone, Cancel for one.
    if (hadFocus && !document.activeElement.checkVisibility()) $("h2", this.section).focus({ preventScroll: true });
  }

  /** Whether it is the edit under way; one that wasn't accepted yet has no id. */
  #awaits({ id }) {
    return UNDER_WAY.includes(this.#face) && [null, id].includes(this.#edit.id);
  }

  async #openFullSize() {
    const { FullSize } = await import("./full-size.js");
    this.#fullSize ??= new FullSize($(".full-size", this.section));
    this.#fullSize.open(this.#image);
  }

  #comeIntoSight() {
    bringIntoSight($(".stage", this.section), "nearest");
  }

  /** Show what is being edited, in the shape of what it will be. */
  async #lift(edit, size) {
    this.#before = pictureOf(edit.input);
    $("[data-testid=reconnecting]", this.section).hidden = true;
    if (size?.width) this.#shape(size.width, size.height);
    const image = await this.live.begin(this.#before);
    if (image && !size?.width) this.#shape(image.naturalWidth, image.naturalHeight);
  }

  #shape(width, height) {
    $(".stage", this.section).style.setProperty("--aspect", String(width / height));
  }

  #say(share, place, eta = "") {
    const bar = $("progress", this.section);
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    $(".result-place", this.section).textContent = place;
    $("[data-testid=eta]", this.section).textContent = eta;
  }

  async #show(edit) {
    const made = { alt: `After: ${inBrief(edit.prompt)}`, dataset: { testid: "result-image" } };
    const loading = [load(this.#before, { alt: "Before" }), fetched(pictureOf(edit.output), made)];
    const [before, after] = await Promise.all(loading);
    if (this.#edit !== edit) return;
    this.#image = after;
    if (!after) return;
    this.#shape(after.naturalWidth, after.naturalHeight);
    this.compare.show(before, after);
  }

  #describe(edit) {
    const image = this.#image;
    replace($(".facts", this.section), facts(edit, image));
    replace($(".result-warnings", this.section), (edit.warnings ?? []).map((text) => h("li", null, text)));
    $(".result-life", this.section).textContent = life(edit);
    const pin = $("[data-action=pin]", this.section);
    pin.setAttribute("aria-pressed", String(Boolean(edit.pinned)));
    const link = $("[data-testid=download]", this.section);
    link.download = edit.fileName ?? "";
    if (image) link.href = image.src;
  }
}

// For those who listen: a prompt may have 10,000 characters.
const inBrief = (prompt) => short(prompt ?? "an edit", SPOKEN);

function placeInWords(position) {
  if (position === null) return "Waiting for its place in the queue";
  return position === 1 ? "Next in the queue" : `${position - 1} before yours in the queue`;
}

const roughly = (eta) => (eta < 10 ? `${Math.max(1, Math.round(eta))} s` : seconds(eta));
