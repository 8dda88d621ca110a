// Queue, times and failures: written in place, and charts and tables only where their numbers have changed.

import { barChart, lineChart } from "./chart.js";
import { $, $$, h, replace, write } from "./dom.js";
import { ago, count, number, seconds, when } from "./format.js";

const MEANINGS = JSON.parse($("#codes").textContent);
const hours = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const shown = new Map();

/** Show an answer of GET /v2/operator, but for its workers. */
export function showNumbers({ queue, times, series, failures, recent_failures: recent }) {
  showQueue(queue);
  showEnded(series);
  showTimes(times);
  unlessShown("series", series, showCharts);
  unlessShown("failures", failures, showFailures);
  unlessShown("recent", recent, showRecent);
  for (const cell of $$("#recent time")) write(cell, ago(cell.dateTime));
}

/** What a window's title has room for. */
export function titled({ queue, workers }) {
  return `${briefly(queue, workers)} · openkontext`;
}

function briefly({ queued, running }, workers) {
  if (!workers.some((worker) => worker.alive)) return "No worker";
  if (queued) return `${number(queued)} waiting`;
  return running ? `${number(running)} running` : "Idle";
}

function showQueue({ queued, running, limit, oldest_seconds: oldest }) {
  write($("#queued"), number(queued));
  write($("#queued-help"), queued ? `the oldest for ${seconds(oldest)}` : `room for ${number(limit)}`);
  write($("#running"), number(running));
  write($("#running-help"), "at this moment");
}

function showEnded(series) {
  for (const name of ["completed", "failed"]) {
    write($(`#${name}`), number(series.reduce((sum, hour) => sum + hour[name], 0)));
    write($(`#${name}-help`), "in 24 hours");
  }
}

function showTimes(times) {
  for (const name of ["wait", "run"]) {
    for (const cell of $$(`#${name}-times td`)) {
      const value = times[name][cell.dataset.percentile];
      write(cell, value === null ? "–" : seconds(value));
    }
  }
  write($("#times-help"), `Of the last ${times.hours} hours, ${count(times.run.samples, "edit")}`);
}

function showCharts(series) {
  const labels = series.map((each) => hours.format(new Date(each.at)));
  const values = (name) => series.map((each) => each[name]);
  lineChart($("#times-chart"), {
    title: "Seconds that half of the edits waited and ran, by hour",
    unit: "seconds",
    labels,
    series: [
      { name: "running", values: values("run_p50"), token: "--chart-1" },
      { name: "waiting", values: values("wait_p50"), token: "--chart-2" },
    ],
    empty: "No edit has ended yet.",
  });
  barChart($("#ended-chart"), {
    title: "Edits that ended, by hour",
    unit: "edits",
    labels,
    series: [
      { name: "completed", values: values("completed"), token: "--chart-1" },
      { name: "failed", values: values("failed"), token: "--chart-4" },
    ],
    empty: "No edit has ended yet.",
  });
}

function showFailures(failures) {
  const line = ({ code, count: times }) =>
    h("li", {}, h("code", { title: MEANINGS[code]?.[1] }, code), h("span", { class: "number" }, number(times)));
  replace($("#failures"), failures.length ? failures.map(line) : h("li", { class: "muted" }, "None"));
}

function showRecent(failures) {
  const row = (each) =>
    h("tr", {},
      h("td", {}, h("time", { datetime: each.ended_at, title: when(each.ended_at) })),
      h("td", {}, h("code", { title: MEANINGS[each.code]?.[1] }, each.code)),
      h("td", {}, each.error),
      h("td", {}, each.account),
      h("td", { class: "mono small" }, each.request_id));
  const none = h("td", { colspan: 5, class: "muted" }, "Nothing has failed in the last 24 hours.");
  replace($("#recent"), failures.length ? failures.map(row) : h("tr", {}, none));
}

function unlessShown(name, value, show) {
  const text = JSON.stringify(value);
  if (shown.get(name) === text) return;
  shown.set(name, text);
  show(value);
}
