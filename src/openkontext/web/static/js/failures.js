// What went wrong, in words, and what to do about it.

import { seconds, sentence } from "./format.js";

const BLOCKED = "Stopped by the safety checker";
const FREE = "Nothing was charged.";
const STAGES = { prompt: "the prompt", input: "the picture you gave", output: "the picture that was made" };
const REMEDIES = {
  prompt: "Say it in other words.",
  input: "Choose another picture.",
  output: "Another seed, or other words, may give a picture that passes.",
};
// By code: a heading, and what to do; the server's own sentence stands between them.
const WORDS = {
  blocked: [BLOCKED, FREE],
  insufficient_credits: ["Not enough credits", "The account page says what they were spent on."],
  queue_timeout: ["No worker was free in time", `The server is busy or has no workers. ${FREE}`],
  worker_lost: ["The worker was lost", `It stopped in mid-edit, and so did those after it. ${FREE}`],
  inference_failed: ["The model couldn't make this edit", `Another seed or fewer steps may do. ${FREE}`],
  safety_unavailable: ["The safety checker failed", `${FREE} Try again in a moment.`],
  fetch_failed: ["The picture couldn't be fetched", "Save it, and choose the file instead of its address."],
  invalid_image: ["The picture can't be used", "Choose another one."],
  invalid_parameter: ["Something isn't right yet", "Correct it, and run again."],
  payload_too_large: ["The picture is too large", "Choose a smaller one."],
  forbidden: ["This key may not do that", "Change the setting, or use a key that may."],
  rate_limited: ["That was fast", ""],
  too_many_waiting: ["Too many edits are waiting", "Wait until one of them is done."],
  queue_full: ["The queue is full", ""],
  offline: ["The server can't be reached", "Check that it runs and that you are connected, then try again."],
  not_found: ["This edit is gone", "It has expired or was erased."],
  result_expired: ["This edit is gone", "Its pictures have expired or were erased."],
};

/**
 * `{title, what, hint, calm}` of an `ApiError`, or of a FAILED edit's `{code, message, moderation}`.
 * `calm`: it is what was asked for, and no reason for alarm.
 */
export function explain(error) {
  if (error.code === "cancelled") return { title: "Cancelled", what: FREE, hint: "", calm: true };
  const moderation = error.moderation ?? error.body?.moderation;
  if (error.code === "blocked" && moderation) return blocked(moderation);
  const [title, hint] = WORDS[error.code] ?? ["That didn't work", error.status ? "" : FREE];
  return { title, what: sentence(error.message ?? error.error), hint: waiting(error) || hint, calm: false };
}

function blocked({ stage, category, score, threshold }) {
  const how = `${likely(score)} (score ${score.toFixed(2)}; less than ${threshold} would pass)`;
  return {
    title: BLOCKED,
    what: `It takes ${STAGES[stage]} for “${category.replaceAll("_", " ")}”, ${how}.`,
    hint: `${REMEDIES[stage]} ${FREE}`,
    calm: false,
  };
}

function likely(score) {
  const words = [[0.95, "almost certainly"], [0.8, "very likely"], [0.5, "probably"]];
  return words.find(([least]) => score >= least)?.[1] ?? "possibly";
}

const waiting = ({ retryAfter }) => (retryAfter ? `Try again in ${seconds(retryAfter)}.` : "");
