// What becomes of edits: the result, its variations and the tree, told by the runs that are under way.

import { api } from "./api.js";
import { $, bringIntoSight } from "./dom.js";
import { stateOf, toEdit } from "./edits.js";
import { onAddress, rememberShown, shownBefore } from "./playground-address.js";
import { ResultView } from "./result.js";
import { lookUp, newestUnderWay, Run } from "./runs.js";
import { refreshAccount } from "./whoami.js";

/** The right side of the page. */
export class Outcome {
  #runs = [];
  #shown = null;
  // Both are loaded once there is something for them to show: many visits need neither.
  #tree = null;
  #variations = null;
  #listener = this.#listen();

  /**
   * `actions`: `{cancel(), retry(edit), variations(edit), useAsInput(edit), sameSeed(edit), useSeed(edit)}`, and what
   * is told: `busy()` when an edit began or ended, `refused(error)` when something can't be done, `failed(error)` of
   * an edit.
   */
  constructor(actions) {
    this.actions = actions;
    this.view = new ResultView($("#result"), {
      ...actions,
      cancel: () => this.#cancelShown(),
      pin: (edit) => this.#pin(edit),
    });
    onAddress((ids) => this.#find(ids));
  }

  /** Whether an edit that was asked for here is under way. */
  get isBusy() {
    return this.#runs.some((run) => run.isOwn && !run.isEnded);
  }

  /** An edit is on its way to the server. */
  begin(edit, size) {
    this.view.begin(edit, size);
    const { section } = this.view;
    if (!isInSight(section)) bringIntoSight(section);
  }

  /** It didn't get there: what was shown before is shown again. */
  takeBack() {
    const before = this.#shown && this.find(this.#shown);
    if (before) this.show(before);
    else this.view.idle();
  }

  /** The server has taken these in, made by one press of Run; `size` as estimated. */
  async accepted(edits, size) {
    for (const edit of edits) this.#tree?.update(edit);
    if (edits.length > 1) await this.#startVariations(edits, size);
    else this.#variations?.clear();
    this.#mark(edits[0].id, edits.map(({ id }) => id));
    if (this.view.edit?.id === null) this.view.accepted(edits[0]);
    // Another was chosen while it was on its way.
    else this.view.begin(edits[0], size);
    this.#followOwn(edits);
  }

  /** What is known of the edit of an id, or null. */
  find(id) {
    return this.#tree?.find(id) ?? this.#run(id)?.edit ?? null;
  }

  /** Show an edit, in whatever state it is. */
  show(edit) {
    this.#mark(edit.id);
    const state = stateOf(edit);
    if (state === "done" || state === "gone") this.view.done(edit);
    else if (state === "failed") this.view.failed(failureOf(edit), edit);
    else this.#showUnderWay(edit);
  }

  /** Read the history, and show what was shown before a reload, or what is under way. */
  async load() {
    await this.#loadTree();
    if (this.#shown || this.isBusy) return;
    await this.#find(shownBefore());
    if (this.#shown) return;
    const edit = await newestUnderWay().catch(() => null);
    if (edit && !this.#shown) this.show(edit);
  }

  /** Have all stopped that was asked for here. Throws `ApiError`. */
  async cancel() {
    await Promise.all(this.#runs.filter((run) => run.isOwn).map((run) => run.cancel()));
  }

  #cancelShown() {
    const run = this.#run(this.#shown);
    if (!run || run.isOwn || run.isEnded) this.actions.cancel();
    else run.cancel().catch((error) => this.actions.refused(error));
  }

  async #find(ids) {
    const isLinked = location.hash.length > 1;
    const found = await Promise.allSettled(ids.map((id) => lookUp(id, this.find(id))));
    const edits = found.map((each, index) => each.value ?? this.find(ids[index])).filter(Boolean);
    for (const edit of edits) this.#tree?.update(edit);
    if (edits.length) await this.#showAgain(edits);
    else if (isLinked && found.length) this.view.failed(found[0].reason);
  }

  async #showAgain(edits) {
    if (edits.length > 1) await this.#startVariations(edits);
    const underWay = edits.filter((edit) => ["queued", "processing"].includes(stateOf(edit)));
    if (underWay.some(({ id }) => !this.#run(id))) this.#followOwn(underWay);
    this.show(edits[0]);
    if (edits.length === 1) return;
    rememberShown(edits.map(({ id }) => id));
    for (const edit of edits) this.#tellVariation(edit);
  }

  async #loadTree() {
    const { Tree } = await import("./tree.js");
    const section = $("[data-testid=history]");
    section.hidden = false;
    this.#tree = new Tree(section, {
      select: (edit) => this.show(edit),
      useAsInput: this.actions.useAsInput,
      remove: (edit) => { if (edit.id === this.#shown) this.#showNothing(); },
    });
    // Those that were asked for with the key that was typed only then.
    for (const { edit } of this.#runs) this.#tree.update(edit);
    this.#tree.select(this.#shown);
    await this.#tree.load();
  }

  async #startVariations(edits, size) {
    const { Variations } = await import("./variations.js");
    this.#variations ??= new Variations($("[data-testid=variations]"), {
      select: (id) => this.show(this.find(id)),
      useSeed: this.actions.useSeed,
    });
    this.#variations.start(edits, size);
  }

  #showUnderWay(edit) {
    this.view.begin(edit);
    const run = this.#run(edit.id);
    if (run) run.tellAgain();
    else this.#followOther(edit);
  }

  #showNothing() {
    this.#shown = null;
    rememberShown([]);
    this.view.idle();
  }

  #mark(id, ids = [id]) {
    this.#shown = id;
    this.#tree?.select(id);
    this.#variations?.select(id);
    rememberShown(ids);
  }

  #followOwn(edits) {
    for (const run of this.#runs) run.leave();
    this.#runs = edits.map((edit) => new Run(edit, this.#listener, true));
    this.actions.busy();
  }

  /** One that was asked for elsewhere, beside those of this tab. */
  #followOther(edit) {
    for (const run of this.#runs) if (!run.isOwn) run.leave();
    this.#runs = [...this.#runs.filter((run) => run.isOwn), new Run(edit, this.#listener, false)];
  }

  #listen() {
    const here = (name) => (run, news) => { if (run.edit.id === this.#shown) this.view[name](news); };
    const both = (name) => (run, news) => {
      this.#variations?.[name](run.edit.id, news);
      here(name)(run, news);
    };
    return {
      turned: (run) => this.#tree?.update(run.edit),
      queued: both("queued"),
      processing: both("processing"),
      preview: both("preview"),
      lost: here("lost"),
      back: here("back"),
      ended: (run) => this.#ended(run),
    };
  }

  #ended({ edit, error }) {
    const failure = error ?? (edit.status === "FAILED" ? failureOf(edit) : null);
    if (!error) this.#tree?.update(edit);
    this.#tellVariation(edit, failure);
    if (edit.id === this.#shown && failure) this.view.failed(failure, edit);
    else if (edit.id === this.#shown) this.view.done(edit);
    if (failure) this.actions.failed(failure);
    refreshAccount().catch(() => {});
    this.actions.busy();
  }

  #tellVariation(edit, failure = edit.status === "FAILED" ? failureOf(edit) : null) {
    if (failure) this.#variations?.failed(edit.id, failure);
    else if (edit.status === "COMPLETED") this.#variations?.done(edit.id, edit);
  }

  async #pin(edit) {
    try {
      const body = await api(`/v2/requests/${edit.id}/pin`, { method: edit.pinned ? "DELETE" : "POST" });
      const changed = { ...toEdit(body, edit), pinned: !edit.pinned };
      this.#tree?.update(changed);
      if (this.#shown === edit.id) this.view.done(changed);
    } catch (error) {
      this.actions.refused(error);
    }
  }

  #run(id) {
    return this.#runs.find((run) => run.edit.id === id);
  }
}

/** Why an edit is FAILED, as an `ApiError` would have it. */
const failureOf = ({ code, error, moderation }) => ({ code, message: error, moderation });

function isInSight(element) {
  const { top, height } = element.getBoundingClientRect();
  return top >= 0 && top + Math.min(height, 200) <= innerHeight;
}
