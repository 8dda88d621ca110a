// An edit as code: what the playground is set to, in the languages that people call an API from.

import { curl, curlReceiver } from "./snippets-curl.js";
import { go, goReceiver } from "./snippets-go.js";
import { javascript, nodeReceiver, typescript } from "./snippets-node.js";
import { openai, openkontext, pythonReceiver, requests, segmind } from "./snippets-python.js";

const SLUG = "flux-kontext-dev";
const PICTURE = "tiger.webp";
const PROMPT = "make it snow";
const PORT = 9000;

/** Where a webhook goes, unless another address is named. */
export const WEBHOOK_URL = `http://127.0.0.1:${PORT}/hooks/edits`;

/** What the contract takes where nothing is said; only what differs is named in a snippet. */
export const DEFAULTS = {
  aspect_ratio: "match_input_image",
  guidance: 7,
  num_inference_steps: 35,
  seed: 42,
  output_format: "png",
  output_quality: 90,
  disable_safety_checker: false,
};

/** What each snippet is: its id, its name, what it needs, the file to save it as, and how to run that. */
export const LANGUAGES = [
  { id: "curl", name: "curl", syntax: "shell", file: "edit.sh", run: "bash edit.sh" },
  python("python", "Python", "openkontext"),
  python("requests", "Python: requests", "requests"),
  python("segmind", "Python: segmind", "segmind"),
  python("openai", "Python: openai", "openai"),
  { id: "javascript", name: "JavaScript", syntax: "c", file: "edit.mjs", run: "node edit.mjs" },
  { id: "typescript", name: "TypeScript", syntax: "c", file: "edit.mts", run: "node edit.mts" },
  { id: "go", name: "Go", syntax: "c", file: "edit.go", run: "go run edit.go" },
];

/** The ways to get the result: their id, name, and when to take them. */
export const VARIANTS = [
  { id: "sync", name: "Sync", when: "One call that answers the picture. For edits that take some seconds." },
  { id: "async", name: "Async", when: "Submit, ask until it is done, download. For edits that take longer." },
  { id: "webhook", name: "Webhook", when: "Submit, and be told at an address of yours. For servers." },
];

const WRITERS = { curl, python: openkontext, requests, segmind, openai, javascript, typescript, go };
const RECEIVERS = { curl: curlReceiver, python: pythonReceiver, requests: pythonReceiver, go: goReceiver };
const NOTES = {
  openai: "OpenAI's route answers when the picture is done. A webhook of your account is told of it too.",
  segmind: "This client names no webhook for one request; one of your account is told of all.",
};

/**
 * The program that does the edit of `values` (by parameter name, and `file_name`) and writes
 * `edited.<format>`; null where a client has no such variant. `baseUrl`: the server's, without a last slash.
 */
export function snippet(language, variant, values, { baseUrl, webhookUrl }) {
  const write = WRITERS[language][variant];
  if (!write) return null;
  return `${write(editOf(values), { baseUrl, webhookUrl: webhookUrl || WEBHOOK_URL })}\n`;
}

/** The program that takes a webhook's post, verifies it and writes the picture; null where there is none. */
export function receiver(language, values, { webhookUrl }) {
  if (!WRITERS[language].webhook) return null;
  const write = RECEIVERS[language] ?? ((place) => nodeReceiver(place, language === "typescript"));
  return `${write({ ...editOf(values), port: portOf(webhookUrl) })}\n`;
}

/** Why `snippet` has none. */
export const noteOn = (language) => NOTES[language];

function python(id, name, library) {
  const needs = `pip install ${library}`;
  return { id, name, syntax: "python", needs, file: "edit.py", run: "python edit.py" };
}

/** What the writers write: `fields` are the parameters that differ from the default, as [name, value]. */
function editOf(values) {
  const format = values.output_format || DEFAULTS.output_format;
  const named = Object.keys(DEFAULTS).filter((name) => name in values);
  const given = named.map((name) => [name, valueOf(name, values[name])]);
  return {
    slug: SLUG,
    picture: values.file_name || PICTURE,
    prompt: values.prompt?.trim() ? values.prompt : PROMPT,
    fields: given.filter(([name, value]) => value !== DEFAULTS[name]),
    output: `edited.${format}`,
  };
}

/** A seed may have more digits than a number holds, and is then text; a blank one is -1. */
function valueOf(name, value) {
  if (name !== "seed") return value ?? DEFAULTS[name];
  if (value === null || value === undefined || value === "") return -1;
  return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value);
}

function portOf(webhookUrl) {
  return Number(URL.parse(webhookUrl || WEBHOOK_URL)?.port) || PORT;
}
