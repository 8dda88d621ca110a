// The operator's page: looks at the service every two seconds, and drains and resumes its workers.

import { api } from "./api.js";
import { copies } from "./copy.js";
import { answered } from "./dialogs.js";
import { $, announce, write } from "./dom.js";
import { showNumbers, titled } from "./operator-numbers.js";
import { poll } from "./operator-poll.js";
import { Workers } from "./operator-workers.js";
import { askForKey, key, needsNoKey } from "./session.js";
import { refreshAccount } from "./whoami.js";

const OPERATOR = "/v2/operator";
const page = $("#operator");
const live = $("#live");
const workers = new Workers($("#workers"), changeOne);
let problem = "";
const looking = poll((signal) => api(OPERATOR, { signal }), {
  onAnswer: showAll,
  onAway: showProblem,
  isFinal: (error) => error.status === 401 || error.status === 403,
});

function showAll(body) {
  if (page.dataset.view !== "ready") refreshAccount().catch(() => {});
  see("ready");
  document.title = titled(body);
  workers.show(body.workers);
  $("#no-workers").hidden = body.workers.some((worker) => worker.alive);
  showNumbers(body);
  offer($("#drain-all"), body.workers.some((worker) => worker.alive && !worker.drain));
  offer($("#resume-all"), body.workers.some((worker) => worker.drain));
  if (problem) tellLive("away", problem);
  else if (body.draining) tellLive("drained", "No worker takes edits until one is resumed");
  else tellLive("live", "Up to date");
}

function see(view) {
  const before = page.dataset.view;
  page.dataset.view = view;
  // What had the focus is gone with what was seen before.
  if (before !== "loading" && before !== view) $("h1", page).focus();
}

/** Unlike a disabled one, such a button keeps the focus. */
function offer(button, isOffered) {
  button.setAttribute("aria-disabled", String(!isOffered));
}

/** Said once for each change; the line is always there, so that nothing moves. */
function tellLive(state, text) {
  const before = live.dataset.state;
  live.dataset.state = state;
  write(live, text);
  if (before !== state) announce(text);
}

function showProblem(error, seconds) {
  if (error.status === 401 || error.status === 403) return showRefused();
  document.title = "Away · openkontext";
  tellLive("away", `${awayWords(error)} Trying again in ${seconds} seconds.`);
}

const awayWords = (error) => (error.status ? `The server can't tell: ${error.message}` : error.message);

function showRefused() {
  see("refused");
  document.title = "Operator · openkontext";
  live.textContent = "";
  $("#refused-reason").textContent = refusal();
  announce(`This page is for operators. ${refusal()}`);
}

function refusal() {
  if (key()) return "The key in use has no operator rights.";
  if (needsNoKey()) return "On the server's own machine edits need no key, but this page does.";
  return "It needs a key.";
}

async function useKey() {
  if (await askForKey(null, { reason: "A key made with openkontext keys create --operator." })) looking.now();
}

async function changeOne(worker, verb) {
  const changed = await change(`${OPERATOR}/workers/${encodeURIComponent(worker.id)}/${verb}`);
  if (changed) workers.update(changed);
}

async function changeAll(verb) {
  const changed = await change(`${OPERATOR}/${verb}`);
  for (const worker of changed?.workers ?? []) workers.update(worker);
}

/** Resolves to the answer, or to null where it was refused: that is said until the next change. */
async function change(path) {
  // A look under way would tell what was before.
  looking.stop();
  problem = "";
  try {
    return await api(path, { method: "POST" });
  } catch (error) {
    problem = error.message;
    return null;
  } finally {
    looking.now();
  }
}

async function drainAll() {
  if (await answered($("#drain-dialog"))) await changeAll("drain");
}

const isOff = (button) => button.getAttribute("aria-disabled") === "true";

copies($("#copy"), () => $("#command").textContent, $("#command"));
$("#use-key").addEventListener("click", useKey);
$("#drain-all").addEventListener("click", (event) => isOff(event.currentTarget) || drainAll());
$("#resume-all").addEventListener("click", (event) => isOff(event.currentTarget) || changeAll("resume"));
// The page's own cookie has never an operator's rights.
if (needsNoKey() && !key()) showRefused();
else looking.now();
