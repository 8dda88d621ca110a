// The parameters of the contract as a form: reading, setting, checking. What is allowed stands on the fields.

import { $, $$, tell } from "./dom.js";
import { count as inWords, number } from "./format.js";

const SAFE_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * The prompt and the parameters. `onChange()` hears of each change. Values are by name of the parameter: numbers
 * as numbers, `seed` as a number, as text where a number can't hold it, or null for one that the server draws.
 */
export class Form {
  #form;
  #onChange;
  #lastSeed;

  constructor(form, onChange) {
    this.#form = form;
    this.#onChange = onChange;
    this.#lastSeed = this.#input("seed").value;
    form.addEventListener("input", (event) => this.#edited(event.target));
    $("#reset", form).addEventListener("click", () => this.reset());
    this.#show();
  }

  /** The values as they are, wrong ones included: NaN for what is no number. */
  values() {
    const pairs = this.#fields().map((field) => [field.dataset.parameter, this.#read(field)]);
    return Object.fromEntries([["prompt", this.prompt], ...pairs]);
  }

  /** The names of all parameters that a request may have. */
  get names() {
    return ["input_image", "prompt", ...this.#fields().map((field) => field.dataset.parameter)];
  }

  /** What is to be done. */
  get prompt() {
    return $("#prompt", this.#form).value;
  }

  /** Set the values that `values` has, and leave the rest. */
  set(values) {
    for (const field of this.#fields()) {
      const name = field.dataset.parameter;
      if (name in values) this.#write(field, values[name]);
    }
    if (typeof values.prompt === "string") $("#prompt", this.#form).value = values.prompt;
    this.#clearErrors();
    this.#changed();
  }

  /** Every parameter as the contract has it; the prompt stays. */
  reset() {
    for (const field of this.#fields()) this.#write(field, valueOf(field, field.dataset.default));
    this.#clearErrors();
    this.#changed();
    // The button that had the focus goes.
    $("input", this.#fields()[0]).focus();
  }

  /** What is wrong, a sentence by parameter's name. */
  problems() {
    const found = { prompt: promptProblem(this.prompt, $("#prompt", this.#form)) };
    for (const field of this.#fields()) found[field.dataset.parameter] = problemOf(field, this.#read(field));
    return Object.fromEntries(Object.entries(found).filter(([, problem]) => problem));
  }

  /** Show sentences by parameter's name, and put the focus on the first; whether there were none. */
  showProblems(problems) {
    this.#clearErrors();
    for (const [name, problem] of Object.entries(problems)) this.#mark(name, problem);
    const [first] = $$("[aria-invalid=true]", this.#form);
    if (!first) return true;
    if ($("#settings").contains(first)) $("#settings").open = true;
    first.focus();
    return false;
  }

  /** Select the prompt, so that typing replaces it. */
  askForPrompt() {
    const prompt = $("#prompt", this.#form);
    prompt.focus();
    prompt.select();
  }

  /** Let the safety checker be skipped, or say that this key may not. */
  allowSkippingSafety(isAllowed) {
    const tick = this.#input("disable_safety_checker");
    tick.disabled = !isAllowed;
    if (!isAllowed) tick.checked = false;
    $("[data-forbidden]", this.#form).hidden = isAllowed;
    this.#show();
  }

  #edited(target) {
    const field = target.closest("[data-parameter]");
    if (field) this.#couple(field, target);
    const corrected = target.closest(".field");
    if (corrected) unmark(corrected);
    this.#changed();
  }

  // A slider and its number, a seed and its tick, mean the same.
  #couple(field, target) {
    const slider = $("[data-slider]", field);
    if (target === slider) this.#input(field.dataset.parameter).value = slider.value;
    else if (slider && target.value !== "") slider.value = target.value;
    const random = $("[data-random]", field);
    if (!random) return;
    const seed = this.#input("seed");
    if (target === random) seed.value = random.checked ? "" : this.#lastSeed;
    this.#lastSeed = seed.value.trim() || this.#lastSeed;
    random.checked = seed.value.trim() === "";
  }

  #changed() {
    this.#show();
    this.#onChange();
  }

  #show() {
    const isPng = this.#input("output_format").value === "png";
    for (const input of $$("[data-parameter=output_quality] input", this.#form)) input.disabled = isPng;
    let count = 0;
    for (const field of this.#fields()) {
      const isChanged = this.#read(field) !== valueOf(field, field.dataset.default);
      $("[data-changed]", field).hidden = !isChanged;
      count += isChanged;
    }
    $("#reset", this.#form).hidden = count === 0;
    $("#reset", this.#form).textContent = `Reset ${inWords(count, "change")}`;
    $("#settings > summary").dataset.changes = count ? `${count} changed` : "";
    showCount($("#prompt", this.#form));
  }

  #read(field) {
    const input = this.#input(field.dataset.parameter);
    if (input instanceof RadioNodeList) return input.value;
    if (input.type === "checkbox") return input.checked;
    return valueOf(field, input.value);
  }

  #write(field, value) {
    const input = this.#input(field.dataset.parameter);
    if (input.type === "checkbox") input.checked = value && !input.disabled;
    else input.value = value ?? "";
    if (!(input instanceof RadioNodeList)) this.#couple(field, input);
  }

  #mark(name, problem) {
    const field = $(`[data-parameter="${name}"], #${name}-field`, this.#form);
    const error = field && $(".error", field);
    if (!error) return;
    // The API speaks of names, people read labels.
    tell(error, problem.replace(RegExp(`^${name}\\b`), field.dataset.label ?? "The prompt"));
    const input = this.#form.elements[name];
    const inputs = input instanceof RadioNodeList ? input : [input];
    for (const each of inputs) each.setAttribute("aria-invalid", "true");
  }

  #clearErrors() {
    for (const field of [...this.#fields(), $("#prompt-field")]) unmark(field);
  }

  #fields() {
    return $$("[data-parameter]", this.#form);
  }

  #input(name) {
    return this.#form.elements[name];
  }
}

/** The values as texts, as a form of the API takes them: the seed to its last digit, a blank one as "". */
export function asTexts(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value ?? "")]));
}

function unmark(field) {
  for (const input of $$("[aria-invalid]", field)) input.removeAttribute("aria-invalid");
  const error = $(".error", field);
  if (error) tell(error, "");
}

/** A text as a value of the field's type; NaN where it is none. */
function valueOf(field, text) {
  const { parameter, type } = field.dataset;
  if (type === "boolean") return text === "true";
  if (type === "string") return text;
  if (parameter === "seed") return seedOf(text.trim());
  return text === "" ? NaN : Number(text);
}

function seedOf(text) {
  if (text === "" || text === "-1") return null;
  if (!/^\d{1,19}$/.test(text)) return NaN;
  return BigInt(text) <= SAFE_INTEGER ? Number(text) : text;
}

function problemOf(field, value) {
  const { type, label, allowed } = field.dataset;
  if (type !== "number" && type !== "integer") return null;
  const inputs = $$("input", field);
  if (inputs.some((input) => input.disabled)) return null;
  return isAllowed(field, value) ? null : `${label} must be ${allowed}.`;
}

function isAllowed(field, value) {
  const { type, minimum, maximum } = field.dataset;
  // Of the seed alone: one that the server draws, and one that no number holds.
  if (value === null) return true;
  if (typeof value === "string") return BigInt(value) <= BigInt(maximum);
  if (type === "integer" && !Number.isInteger(value)) return false;
  return value >= Number(minimum) && value <= Number(maximum);
}

function promptProblem(text, input) {
  const most = Number(input.dataset.maxLength);
  const length = lengthOf(text);
  if (!text.trim()) return "Say what to change: the prompt can’t be blank.";
  return length > most ? `The prompt has ${number(length)} characters; ${number(most)} are allowed.` : null;
}

function showCount(input) {
  const most = Number(input.dataset.maxLength);
  const length = lengthOf(input.value);
  $("#prompt-count").textContent = length > 0.9 * most ? `${number(length)} of ${number(most)}` : "";
}

/** Characters as the API counts them: one of two units, such as an emoji, is one. */
const lengthOf = (text) => [...text].length;
