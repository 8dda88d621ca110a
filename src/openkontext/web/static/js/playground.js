// The playground: the form asks, the outcome is shown beside it.

import { $, announce } from "./dom.js";
import { toEdit } from "./edits.js";
import { Form } from "./form.js";
import { sentence } from "./format.js";
import { Input, InputError } from "./input.js";
import { Estimate, refuse, RunButton } from "./playground-foot.js";
import { Outcome } from "./playground-outcome.js";
import { listenForExamples, showExamples } from "./playground-examples.js";
import { problemsByName, refusal } from "./playground-words.js";
import { seedsFrom, submit } from "./runs.js";
import { key, needsNoKey } from "./session.js";
import { loadValues, saveValues } from "./values.js";
import { account, onAccount } from "./whoami.js";

const MANY = 4;
const OF_THE_PICTURE = ["invalid_image", "fetch_failed"];

class Playground {
  // By the id of the edit that was made of each.
  #pictures = new Map();
  #estimated = {};
  #isAsking = false;
  #isCancelled = false;
  #hasBegun = false;

  constructor() {
    this.estimate = new Estimate();
    this.button = new RunButton(() => this.cancel());
    this.form = new Form($("#edit"), () => this.#changed());
    this.input = new Input($("#picture"), () => this.#changed());
    this.outcome = new Outcome({
      cancel: () => this.cancel(),
      retry: (edit) => this.#runAgain(edit, 1),
      variations: (edit) => this.#runAgain(edit, MANY),
      useAsInput: (edit) => this.#goOnFrom(edit),
      sameSeed: (edit) => this.#goBackTo(edit),
      useSeed: ({ seed }) => this.form.set({ seed }),
      busy: () => this.#showBusy(),
      refused: (error) => refuse(refusal(error)),
      failed: (error) => this.#failed(error),
    });
    listenForExamples((prompt) => {
      this.form.set({ prompt });
      this.form.askForPrompt();
    });
    this.form.set(loadValues());
  }

  /** What waits for a key, or for knowing that none is needed. */
  begin({ key: { may_disable_safety: maySkip } }) {
    this.form.allowSkippingSafety(maySkip);
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#changed();
    this.outcome.load();
  }

  /** The values that are right, and the picture's name, for code that does the same. */
  values() {
    return { ...sound(this.form.values()), file_name: this.input.fileName };
  }

  /** Check, then ask for `count` edits of `values`. */
  async run(values = this.form.values(), count = chosenCount()) {
    if (!this.button.isReady || !this.#isReady()) return;
    [this.#isAsking, this.#isCancelled] = [true, false];
    refuse("");
    this.#showBusy();
    const { picture } = this.input;
    this.outcome.begin({ id: null, prompt: values.prompt, input: picture.src }, this.estimate.size);
    await this.#ask(picture, values, count).catch((error) => this.#refused(error));
    this.#isAsking = false;
    this.#showBusy();
  }

  /** Have what was asked for stopped. */
  async cancel() {
    this.#isCancelled = true;
    this.button.cancelling(true);
    try {
      await this.outcome.cancel();
    } catch (error) {
      refuse(refusal(error));
      this.button.cancelling(false);
    }
  }

  /** Whether there is all that an edit needs; else the focus is where something is wrong. */
  #isReady() {
    const isGood = this.form.showProblems(this.form.problems());
    if (this.input.picture) return isGood;
    this.input.fail("Choose a picture to edit.", { focus: true });
    return false;
  }

  async #ask(picture, values, count) {
    const seeds = seedsFrom(values.seed, count);
    let { ids, error } = await this.#submit(values, seeds);
    if (error?.code === "invalid_image" && !ids.length && this.input.isAtHand) {
      // Its upload has expired, most likely: the picture itself was looked at.
      await this.input.address({ afresh: true });
      ({ ids, error } = await this.#submit(values, seeds));
    }
    if (ids.length) {
      const edits = ids.map((id, index) => asked(id, { ...values, seed: seeds[index] }, picture));
      for (const id of ids) this.#pictures.set(id, picture);
      await this.outcome.accepted(edits, this.estimate.size);
    }
    if (this.#isCancelled) await (ids.length ? this.cancel() : this.outcome.takeBack());
    else if (error) this.#refused(error, ids.length ? `${ids.length} of ${count} were started. ` : "");
  }

  async #submit(values, seeds) {
    const address = await this.input.address();
    if (this.#isCancelled) return { ids: [], error: null };
    return submit(seeds.map((seed) => ({ ...values, seed, input_image: address })));
  }

  #failed({ code, message }) {
    if (OF_THE_PICTURE.includes(code)) this.input.fail(sentence(message));
  }

  /** Say where it belongs why an edit wasn't taken in. */
  #refused(error, before = "") {
    if (!before) this.outcome.takeBack();
    if (error instanceof InputError || error.code === "invalid_image") {
      return this.input.fail(sentence(error.message), { focus: true });
    }
    if (error.code === "invalid_parameter") return this.#refusedParameters(error.message);
    refuse(before + refusal(error));
    if (error.retryAfter) this.button.pause(error.retryAfter);
  }

  #refusedParameters(message) {
    const { "": rest = "", input_image: picture, ...problems } = problemsByName(message, this.form.names);
    this.form.showProblems(problems);
    if (picture) this.input.fail(sentence(picture), { focus: true });
    refuse(rest && sentence(rest));
  }

  async #runAgain(edit, count) {
    if (!this.button.isReady) return refuse("Wait for the edit that is under way, or cancel it.");
    await this.#startFrom(edit);
    const values = this.form.values();
    await this.run(count > 1 ? { ...values, seed: null } : values, count);
  }

  async #goOnFrom(edit) {
    await this.input.takeEdit(edit);
    this.#askForPrompt();
    announce("The result is the picture to edit now. Say what to change next.");
  }

  async #goBackTo(edit) {
    await this.#startFrom(edit);
    this.#askForPrompt();
    announce("Everything is as it was for this edit. Change the prompt.");
  }

  #askForPrompt() {
    // The picture has changed: where the form scrolls on its own, let it be seen.
    $(".panel-body").scrollTop = 0;
    this.form.askForPrompt();
  }

  /** Everything as it was for `edit`. */
  async #startFrom(edit) {
    const { parameters, seed } = edit;
    this.form.set(seed === null ? parameters : { ...parameters, seed });
    const [picture, parent] = [this.#pictures.get(edit.id), this.outcome.find(edit.parentId)];
    if (picture) this.input.takeAgain(picture);
    // By the parent's own address, so that the next edit is a child of it too.
    else if (parent?.output) await this.input.takeEdit(parent);
    else if (edit.input) await this.input.takeInputOf(edit);
  }

  #changed() {
    // The fields tell of changes before all of them are there.
    if (!this.outcome) return;
    saveValues(this.values());
    showExamples(this.input.picture);
    this.#estimate();
  }

  #estimate({ isAnew = false } = {}) {
    if (!this.#hasBegun) return;
    const { picture } = this.input;
    // What the prompt says makes no difference: typing it is no reason to ask.
    const about = JSON.stringify([chosenCount(), this.#isSound, { ...this.form.values(), prompt: "" }]);
    if (!isAnew && about === this.#estimated.about && picture === this.#estimated.picture) return;
    this.#estimated = { about, picture };
    this.estimate.update(chosenCount(), () => this.#estimable());
  }

  get #isSound() {
    return Object.keys(this.form.problems()).length === 0;
  }

  /** The values to estimate; null while something is wrong. Throws where there is no picture. */
  async #estimable() {
    return this.#isSound ? { ...this.form.values(), input_image: await this.input.address() } : null;
  }

  #showBusy() {
    const isBusy = this.#isAsking || this.outcome.isBusy;
    this.button.busy(isBusy);
    // What was measured meanwhile may tell more.
    if (!isBusy) this.#estimate({ isAnew: true });
  }
}

const chosenCount = () => Number($("#variations-count").value);

/** The values without those that are no numbers. */
function sound(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => !Number.isNaN(value)));
}

/** What is known of an edit that has just been taken in. */
function asked(id, parameters, picture) {
  return toEdit({
    request_id: id,
    status: "QUEUED",
    parameters,
    seed: parameters.seed === null ? undefined : String(parameters.seed),
    created_at: new Date().toISOString(),
    parent_request_id: picture.editId,
    input: picture.src,
  });
}

function listenForRun(playground) {
  const form = $("#edit");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    playground.run();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || $("dialog[open]")) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

function listenForCode(playground) {
  const dialog = $("#code-dialog");
  let show = null;
  $("#code-open").addEventListener("click", async () => {
    dialog.showModal();
    const { codePanel } = await import("./code-panel.js");
    show ??= codePanel($("#code"), () => playground.values());
    show();
  });
  $("#code-close").addEventListener("click", () => dialog.close());
}

const playground = new Playground();
listenForRun(playground);
listenForCode(playground);
onAccount((body) => playground.begin(body));
// Who hasn't given a key yet is asked for it with the first edit, and not before.
if (key() || needsNoKey()) account().catch((error) => refuse(refusal(error)));
else $("[data-testid=history]").hidden = true;
