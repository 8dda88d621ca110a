// Where a chart's grid and labels are: round numbers, and only as many as there is room for.

import { svg } from "./dom.js";

const TOP = 10;
const BOTTOM = 26;
const LETTER = 6.6;
const MINUTE = 60;
const HOUR = 3600;
// People count time by these, and not by tens.
const TIMES = [
  1, 2, 5, 10, 15, 30,
  ...[1, 2, 5, 10, 15, 30].map((step) => step * MINUTE),
  ...[1, 2, 3, 6, 12, 24].map((step) => step * HOUR),
];

/** The values of the grid's lines: from 0 to the first at or above `most`, at most four round steps. */
export function ticks(most, { time = false, whole = false } = {}) {
  const step = time && most > 2 ? timeStep(most / 4) : decimalStep(most / 4, whole);
  const steps = Math.ceil(most / step - 1e-9);
  // Rounded, since multiples of 0.1 drift.
  return Array.from({ length: steps + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** How values up to `most` fit into so many pixels: places of values and labels, and the label under an x. */
export function geometry({ labels, unit, format, series }, most, width, height) {
  const whole = series.every((each) => each.values.every(Number.isInteger));
  const lines = ticks(most, { time: unit === "seconds", whole });
  const left = Math.ceil(Math.max(...lines.map((line) => format(line).length)) * LETTER) + 10;
  const slot = (width - left) / labels.length;
  const bottom = height - BOTTOM;
  return {
    width, left, slot, lines, bottom, top: TOP,
    y: (value) => bottom - (value / lines.at(-1)) * (bottom - TOP),
    centre: (index) => left + (index + 0.5) * slot,
    indexAt: (x) => Math.max(0, Math.min(Math.floor((x - left) / slot), labels.length - 1)),
  };
}

/** The grid's lines with their values, and the labels below. */
export function grid({ labels, format }, place) {
  const lines = place.lines.map((line) => [
    svg("path", { class: "chart-line", d: `M${place.left} ${place.y(line)}H${place.width}` }),
    svg("text", { class: "chart-value", x: place.left - 8, y: place.y(line) }, written(line, format)),
  ]);
  // Counted from the end: the latest is the one that people look for.
  const every = stride(labels, place.width - place.left);
  const isNamed = (index) => (labels.length - 1 - index) % every === 0;
  const named = labels.map((label, index) => isNamed(index) && name(label, index, place));
  return [lines, named];
}

// 5.0 s among 10 s and 15 s is 5 s.
const written = (line, format) => format(line).replace(/\.0\b/, "");

function name(label, index, place) {
  const half = (label.length * LETTER) / 2;
  const x = Math.max(half, Math.min(place.centre(index), place.width - half));
  return svg("text", { class: "chart-label", x, y: place.bottom + 18 }, label);
}

function stride(labels, width) {
  const longest = Math.max(...labels.map((label) => label.length));
  return Math.ceil(((longest * LETTER + 28) * labels.length) / width);
}

function decimalStep(rough, whole) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [1, 2, 2.5, 5, 10].map((factor) => Number((factor * power).toPrecision(3)));
  const step = steps.find((each) => each >= rough * 0.999 && !(whole && each > 1 && each % 1));
  return whole ? Math.max(1, step) : step;
}

function timeStep(rough) {
  return TIMES.find((each) => each >= rough) ?? Math.ceil(rough / (24 * HOUR)) * 24 * HOUR;
}
