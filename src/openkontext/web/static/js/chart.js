// Charts by hand: bars and lines in SVG, and the same numbers in a table for those who listen.

import { bars, coloured, lines } from "./chart-marks.js";
import { geometry, grid } from "./chart-scale.js";
import { announce, h, replace, svg } from "./dom.js";
import { number, seconds } from "./format.js";

const MANY = 3;
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
const charts = new WeakMap();

/**
 * Show stacked bars in `figure` (of class `chart`; needs css/chart.css), or others in place of those there.
 * `series`: `{name, values, token}`, a value for each of `labels`, and the CSS variable of its colour.
 * `unit`: what is counted; for "seconds" the grid is one of times. `format(value)` writes a value.
 * `title` names the chart to those who listen; `empty` is said where all is 0.
 */
export function barChart(figure, options) {
  chartOf(figure).show(bars, options);
}

/** Show lines in `figure`, as `barChart`. Where a value is null, nothing was measured: the line has a gap. */
export function lineChart(figure, options) {
  chartOf(figure).show(lines, options);
}

function chartOf(figure) {
  if (!charts.has(figure)) charts.set(figure, new Chart(figure));
  return charts.get(figure);
}

class Chart {
  #picture = svg("svg", { class: "chart-picture", role: "img" });
  #tip = h("div", { class: "chart-tip", hidden: true });
  #plot = h("div", { class: "chart-plot" }, this.#picture, this.#tip);
  #legend = h("ul", { class: "chart-legend", "aria-hidden": "true" });
  #numbers = h("div", { class: "visually-hidden" });
  #cursor = svg("rect", { class: "chart-cursor" });
  #marks = bars;
  #options = null;
  #place = null;
  #at = null;

  constructor(figure) {
    replace(figure, this.#plot, this.#legend, this.#numbers);
    this.#listen();
    new ResizeObserver(() => this.#draw()).observe(this.#plot);
  }

  show(marks, options) {
    const format = options.format ?? (options.unit === "seconds" ? seconds : number);
    this.#options = { empty: "Nothing in this time.", ...options, format };
    this.#marks = marks;
    const { title, series } = options;
    this.#picture.setAttribute("aria-label", `${title}: a chart. The left and right arrows move along it.`);
    replace(this.#legend, series.length > 1 && series.map((each, nth) => entry(each, nth, marks)));
    replace(this.#numbers, table(this.#options));
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#plot;
    if (!this.#options || !width) return;
    const most = Math.max(0, ...this.#marks.tops(this.#options));
    this.#picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#picture.setAttribute("tabindex", most ? "0" : "-1");
    this.#place = most ? geometry(this.#options, most, width, height) : null;
    replace(this.#picture, most ? this.#drawing() : this.#words(width / 2, height / 2));
    this.#point(most && this.#at !== null ? Math.min(this.#at, this.#last) : null);
  }

  #drawing() {
    const given = [this.#options, this.#place];
    return [this.#cursor, grid(...given), this.#marks.marks(...given)];
  }

  #words(x, y) {
    return svg("text", { class: "chart-empty", x, y }, this.#options.empty);
  }

  get #last() {
    return this.#options.labels.length - 1;
  }

  #listen() {
    const picture = this.#picture;
    picture.addEventListener("pointermove", (event) => this.#under(event));
    picture.addEventListener("pointerdown", (event) => this.#under(event));
    // A finger leaves as soon as it has tapped: what it asked for stays until the focus goes.
    picture.addEventListener("pointerleave", (event) => event.pointerType === "touch" || this.#point(null));
    picture.addEventListener("focus", () => this.#at === null && this.#say(this.#last));
    picture.addEventListener("blur", () => this.#point(null));
    picture.addEventListener("keydown", (event) => this.#press(event));
  }

  #under(event) {
    const x = event.clientX - this.#picture.getBoundingClientRect().left;
    if (this.#place) this.#point(this.#place.indexAt(x));
  }

  #press(event) {
    if (event.key === "Escape") return this.#point(null);
    const next = { Home: 0, End: this.#last }[event.key] ?? (this.#at ?? this.#last) + STEPS[event.key];
    if (Number.isNaN(next)) return;
    event.preventDefault();
    this.#say(Math.max(0, Math.min(next, this.#last)));
  }

  #say(index) {
    if (!this.#place) return;
    this.#point(index);
    const { labels, series, format } = this.#options;
    const values = series.map((each) => `${each.name} ${written(each, index, format)}`);
    announce(`${labels[index]}: ${values.join(", ")}`);
  }

  #point(index) {
    this.#at = index;
    this.#tip.hidden = index === null;
    this.#cursor.classList.toggle("shown", index !== null);
    if (index === null) return;
    const { slot, left, top, bottom } = this.#place;
    const band = { x: left + index * slot, y: top, width: slot, height: bottom - top };
    for (const [name, value] of Object.entries(band)) this.#cursor.setAttribute(name, value);
    replace(this.#tip, tip(this.#options, index, this.#marks));
    this.#tip.style.left = `${this.#beside(band.x)}px`;
  }

  /** Where the words about the label at `x` go: to its right, or to its left where there is no room. */
  #beside(x) {
    const { slot, width } = this.#place;
    const wide = this.#tip.offsetWidth;
    const right = x + slot + 8;
    return right + wide <= width ? right : Math.max(0, x - wide - 8);
  }
}

function tip({ labels, series, format }, index, marks) {
  const value = (each) => h("b", {}, written(each, index, format));
  // Of many, those that are nothing here are left to the table.
  const isTold = (each) => series.length <= MANY || each.values[index] > 0;
  const row = (each, nth) => isTold(each) && h("div", {}, swatch(each, nth, marks), each.name, value(each));
  const rows = series.map(row).filter(Boolean);
  // Listed as they lie upon each other.
  if (marks === bars) rows.reverse();
  return [h("p", {}, labels[index]), rows.length ? rows : h("div", {}, "nothing")];
}

function table({ title, unit, labels, series, format }) {
  const cell = (each, index) => h("td", {}, written(each, index, format));
  const row = (label, index) =>
    h("tr", {}, h("th", { scope: "row" }, label), series.map((each) => cell(each, index)));
  const heads = ["", ...series.map((each) => each.name)].map((name) => h("th", { scope: "col" }, name));
  const caption = unit ? `${title} (${unit})` : title;
  const body = h("tbody", {}, labels.map(row));
  return h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads)), body);
}

function swatch(each, nth, marks) {
  return coloured(h("i", { class: `chart-swatch ${marks.kind}`, "data-nth": nth }), each);
}

const entry = (each, nth, marks) => h("li", {}, swatch(each, nth, marks), each.name);
const written = ({ values }, index, format) => (values[index] == null ? "none" : format(values[index]));
