// The history: every edit under the one that it was made from.
//
// It is a nested list of buttons and no role=tree: every screen reader tells a list's levels too, and reads it
// with its own keys; and what else can be done with an edit may be a button of its own, which a treeitem can't
// hold. Of a tree it has the roving focus: Tab comes by one edit, the arrows lead to the others.

import { api } from "./api.js";
import { answered } from "./dialogs.js";
import { $, announce, replace, tell } from "./dom.js";
import { stateOf, toEdit } from "./edits.js";
import { forest } from "./lineage.js";
import { Row } from "./tree-row.js";
import { onAccount } from "./whoami.js";

const PER_PAGE = 100;
const MINUTE = 60_000;
const FORBIDDEN = "This key may not read the history: only what you do here, now, is listed.";

/** The section of _history.html. */
export class Tree {
  #edits = new Map();
  #rows = new Map();
  // The rows from top to bottom, as they are seen.
  #order = [];
  #pages = 0;
  #shownId = null;
  #thumbnails = true;

  /** `actions`: `{select(edit), useAsInput(edit), remove(edit)}`; the last is told once an edit is erased. */
  constructor(section, actions) {
    this.section = section;
    this.actions = actions;
    this.list = $(".tree", section);
    this.older = $(".history-older", section);
    this.empty = $("[data-testid=history-empty]", section);
    this.notice = $(".history-notice", section);
    this.expired = $("[data-testid=history-expired]", section);
    this.older.addEventListener("click", () => this.#loadMore());
    this.expired.addEventListener("change", () => this.#render());
    this.list.addEventListener("click", ({ target }) => this.#choose(target.closest(".tree-main")));
    this.list.addEventListener("keydown", (event) => this.#move(event));
    this.list.addEventListener("focusin", ({ target }) => this.#rove(target.closest("li")));
    // What is delivered once is for the one who looks at the result, not for a thumbnail.
    onAccount(({ key }) => { this.#thumbnails = key.retention !== 0; });
    setInterval(() => this.#order.forEach((row) => row.tick()), MINUTE);
  }

  /** Read the newest edits; resolves once they are there, or once it is said why not. */
  async load() {
    this.#pages = 0;
    await this.#loadMore();
  }

  /** What is known of an edit now, which may be a new one. */
  update(edit) {
    const before = this.#edits.get(edit.id);
    this.#edits.set(edit.id, edit);
    const isInPlace = before?.parentId === edit.parentId && isGone(before) === isGone(edit);
    if (isInPlace) this.#rowOf(edit);
    else this.#render();
  }

  /** The edit of an id, if it is known here, or null. */
  find(id) {
    return this.#edits.get(id) ?? null;
  }

  /** Mark the edit that is shown; null for none. */
  select(id) {
    this.#shownId = id;
    for (const [each, row] of this.#rows) row.mark(each === id);
  }

  async #loadMore() {
    this.list.setAttribute("aria-busy", "true");
    try {
      const answer = await api(`/v2/requests?page=${this.#pages + 1}&per_page=${PER_PAGE}`);
      const { requests, page, per_page: size, total } = answer;
      this.#pages = page;
      for (const entry of requests) this.#edits.set(entry.request_id, toEdit(entry));
      this.older.hidden = page * size >= total;
      this.#tell("");
    } catch (error) {
      const problem = `The history can't be shown. ${error.message} Reload the page to try again.`;
      this.#tell(error.code === "forbidden" ? FORBIDDEN : problem);
    }
    this.list.setAttribute("aria-busy", "false");
    this.#render();
  }

  #tell(text) {
    tell(this.notice, text);
  }

  #render() {
    const focused = document.activeElement;
    const hadFocus = this.list.contains(focused);
    const all = [...this.#edits.values()];
    this.#order = [];
    const rows = this.#rowsOf(forest(all), true);
    replace(this.list, rows.map((row) => row.item));
    if (hadFocus) focused.focus({ preventScroll: true });
    if (!this.#order.some((row) => row.main.tabIndex === 0)) this.#order[0]?.reachable(true);
    this.#showExpired(all.filter(isGone).length);
    this.empty.hidden = all.length > 0 || !this.notice.hidden;
  }

  /** The rows of nodes; those that are gone only on request, or for what was made from them. */
  #rowsOf(nodes, isRoot) {
    return nodes.filter((node) => this.expired.checked || isShown(node)).map(({ edit, children }) => {
      const row = this.#rowOf(edit);
      this.#order.push(row);
      row.nest(this.#rowsOf(children, false), { isRoot });
      return row;
    });
  }

  #rowOf(edit) {
    const row = this.#rows.get(edit.id) ?? new Row({
      useAsInput: (edit) => this.actions.useAsInput(edit),
      erase: () => this.#erase(row),
    });
    this.#rows.set(edit.id, row);
    if (row.edit !== edit) row.fill(edit, this.#thumbnails);
    row.mark(edit.id === this.#shownId);
    return row;
  }

  #showExpired(count) {
    const label = this.expired.parentElement;
    label.hidden = count === 0;
    $("span", label).textContent = `Show ${count} whose pictures are erased`;
  }

  #rowAt(element) {
    return this.#order.find((row) => row.item === element?.closest("li"));
  }

  async #choose(button) {
    if (!button) return;
    const { edit } = this.#rowAt(button);
    this.select(edit.id);
    const whole = await this.#whole(edit);
    // Another may have been chosen meanwhile.
    if (this.#shownId === edit.id) this.actions.select(whole);
  }

  /** The edit with what the history has not: its warnings, and a seed that is too large for a number here. */
  async #whole(edit) {
    if (stateOf(edit) !== "done") return edit;
    try {
      this.update(toEdit(await api(`/v2/requests/${edit.id}`), edit));
    } catch (error) {
      // It has expired since.
      if (error.status === 404) this.update(erased(edit));
    }
    return this.find(edit.id);
  }

  #rove(item) {
    for (const row of this.#rows.values()) row.reachable(row.item === item);
  }

  #move(event) {
    if (!event.target.matches(".tree-main")) return;
    const row = this.#rowAt(event.target);
    if (event.key === "Delete" && !row.erase.hidden) this.#erase(row);
    const place = this.#order.indexOf(row);
    const next = {
      ArrowDown: this.#order[place + 1],
      ArrowUp: this.#order[place - 1],
      ArrowLeft: this.#rowAt(row.item.parentElement),
      ArrowRight: this.#rowAt(row.children.firstElementChild),
      Home: this.#order[0],
      End: this.#order.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next.main.focus();
  }

  async #erase(row) {
    const { edit } = row;
    if (!(await this.#isSure(edit))) return;
    const place = this.#order.indexOf(row);
    try {
      await api(`/v2/requests/${edit.id}`, { method: "DELETE" });
    } catch (error) {
      // Gone already is as good.
      if (error.status !== 404) return this.#tell(`It isn't erased. ${error.message}`);
    }
    this.update(erased(edit));
    (this.#order[Math.min(place, this.#order.length - 1)]?.main ?? $("h2", this.section)).focus();
    announce("Erased");
    this.actions.remove(edit);
  }

  async #isSure(edit) {
    const dialog = $("dialog", this.section);
    $(".history-prompt", dialog).textContent = edit.prompt;
    return (await answered(dialog)) === "erase";
  }
}

const erased = (edit) => ({ ...edit, input: null, output: null, error: null });

const isGone = (edit) => stateOf(edit) === "gone";

const isShown = ({ edit, children }) => !isGone(edit) || children.some(isShown);
