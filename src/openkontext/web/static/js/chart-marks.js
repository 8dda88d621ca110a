// What a chart is drawn with: stacked bars, or lines.

import { svg } from "./dom.js";

/** Bars: the series stacked upon each other, the first at the bottom. */
export const bars = {
  kind: "bar",
  tops: ({ labels, series }) => labels.map((_, index) => sum(series, index)),
  marks: ({ labels, series }, place) => labels.map((_, index) => stack(series, index, place)),
};

/** Lines: each series on its own, with gaps where a value is null. */
export const lines = {
  kind: "line",
  tops: ({ series }) => series.flatMap((each) => each.values),
  marks: ({ series }, place) => series.map((each, nth) => line(each, nth, place)),
};

/** `node` in the colour of a series. */
export function coloured(node, { token }) {
  node.style.setProperty("--mark", `var(${token})`);
  return node;
}

const sum = (series, index) => series.reduce((total, each) => total + (each.values[index] ?? 0), 0);

function stack(series, index, place) {
  const shown = series.filter((each) => each.values[index] > 0);
  let below = 0;
  return shown.map((each, nth) => {
    const from = place.y(below);
    below += each.values[index];
    // What there is can be seen, however little of the whole it is.
    const to = Math.min(place.y(below), from - 1.5);
    const d = bar(place, index, from, to, nth === shown.length - 1);
    return coloured(svg("path", { class: "chart-bar", d }), each);
  });
}

function bar(place, index, from, to, isTop) {
  const width = Math.min(place.slot * 0.72, 36);
  const left = place.centre(index) - width / 2;
  const radius = isTop ? Math.min(3, width / 2, from - to) : 0;
  // A thin gap tells a part from the one above it.
  const end = isTop || from - to < 3 ? to : to + 1;
  const corner = `a${radius} ${radius} 0 0 1 ${radius}`;
  const top = `${corner} ${-radius}H${left + width - radius}${corner} ${radius}`;
  return `M${left} ${from}V${end + radius}${top}V${from}Z`;
}

function line(each, nth, place) {
  const runs = measured(each.values, place);
  const path = runs.map((run) => `M${run.map(([x, y]) => `${x} ${y}`).join("L")}`).join("");
  const alone = runs.filter((run) => run.length === 1).map(([[cx, cy]]) => dot(cx, cy));
  return coloured(svg("g", {}, svg("path", { class: "chart-path", "data-nth": nth, d: path }), alone), each);
}

const dot = (cx, cy) => svg("circle", { class: "chart-dot", cx, cy, r: 2.5 });

/** The points of values that follow each other without a gap, a list for each such run. */
function measured(values, place) {
  const runs = [[]];
  values.forEach((value, index) => {
    if (value == null) runs.push([]);
    else runs.at(-1).push([place.centre(index), place.y(value)]);
  });
  return runs.filter((run) => run.length);
}
