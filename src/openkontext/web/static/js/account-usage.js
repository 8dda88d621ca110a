// What the account's requests came to, by day.

import { keep, setting } from "./account-address.js";
import { section } from "./account-section.js";
import { api } from "./api.js";
import { barChart } from "./chart.js";
import { $, $$ } from "./dom.js";
import { credits, day, number, seconds } from "./format.js";

const DAY = 86_400_000;
// As many as there are colours for; the rest is one.
const MOST_CODES = 5;
const USUAL_DAYS = "30";

/** Three charts of 7, 30 or 90 days. */
export function usageSection() {
  const choices = $$("#usage-range input");
  const { refresh } = section($("#usage-section"), { permission: "may_read_history", load, show });
  for (const choice of choices) {
    choice.addEventListener("change", () => {
      keep({ days: choice.value === USUAL_DAYS ? "" : choice.value });
      refresh();
    });
  }
  return () => {
    const named = setting("days") || USUAL_DAYS;
    (choices.find(({ value }) => value === named) ?? choices[1]).checked = true;
    return refresh();
  };
}

function load() {
  const first = new Date(Date.now() - (chosenDays() - 1) * DAY).toISOString().slice(0, 10);
  return api(`/v2/account/usage?from=${first}`);
}

const chosenDays = () => Number($("#usage-range input:checked").value);

function show(usage) {
  const labels = usage.days.map((each) => day(each.day));
  const span = `in these ${chosenDays()} days`;
  showRequests(usage, labels, span);
  showTime(usage, labels, span);
  showFailures(usage, labels, span);
}

function showRequests({ days, totals }, labels, span) {
  $("#total-requests").textContent = `${number(totals.requests)} · ${credits(totals.cost)}`;
  const rest = (each) => each.requests - each.completed - each.failed;
  const series = [
    { name: "completed", values: days.map((each) => each.completed), token: "--chart-1" },
    { name: "failed", values: days.map((each) => each.failed), token: "--chart-4" },
    { name: "under way", values: days.map(rest), token: "--chart-6" },
  ];
  const empty = `No requests ${span}.`;
  barChart($("#usage-requests"), { title: "Requests by day", unit: "requests", labels, series, empty });
}

function showTime({ days, totals }, labels, span) {
  $("#total-gpu").textContent = seconds(totals.gpu_seconds);
  const series = [{ name: "GPU time", values: days.map((each) => each.gpu_seconds), token: "--chart-1" }];
  const empty = `Nothing ran ${span}.`;
  barChart($("#usage-gpu"), { title: "GPU time by day", unit: "seconds", labels, series, empty });
}

function showFailures({ days, totals }, labels, span) {
  $("#total-failures").textContent = number(totals.failed);
  const empty = `No failures ${span}.`;
  const title = "Failures by day and code";
  barChart($("#usage-failures"), { title, unit: "failures", labels, series: byCode(days, totals), empty });
}

function byCode(days, totals) {
  // The most frequent come first.
  const codes = Object.keys(totals.failures);
  const own = codes.length > MOST_CODES + 1 ? codes.slice(0, MOST_CODES) : codes;
  const groups = own.map((code) => [code.replaceAll("_", " "), [code]]);
  if (own.length < codes.length) groups.push(["other codes", codes.slice(MOST_CODES)]);
  const sum = (failures, names) => names.reduce((total, code) => total + (failures[code] ?? 0), 0);
  return groups.map(([name, names], nth) => ({
    name,
    values: days.map(({ failures }) => sum(failures, names)),
    token: `--chart-${nth + 1}`,
  }));
}
