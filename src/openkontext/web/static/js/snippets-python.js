// The edit in Python: with our client, the hosted service's, OpenAI's, and without any.

import { quote, typeOf, withWebhook } from "./snippets-quote.js";

/** By variant: a function of the edit and the addresses. Our own client. */
export const openkontext = {
  sync: (edit, { baseUrl }) => `\
import openkontext

client = openkontext.Client(base_url=${quote(baseUrl)})
try:
    response = client.run_sync(
        ${quote(edit.slug)},
        input_image=${quote(edit.picture)},
${keywords(edit)}
    )
except openkontext.OpenkontextError as error:
    raise SystemExit(f"Not edited: {error}")

with open(${quote(edit.output)}, "wb") as file:
    file.write(response.content)`,

  async: (edit, { baseUrl }) => `\
import openkontext

client = openkontext.Client(base_url=${quote(baseUrl)})
try:
    job = client.submit_async(
        ${quote(edit.slug)},
        input_image=${quote(edit.picture)},
${keywords(edit)}
    )
    job.wait(on_progress=lambda event: print(event.type))
    job.download(${quote(edit.output)})
except openkontext.OpenkontextError as error:
    raise SystemExit(f"Not edited: {error}")`,

  webhook: (edit, { baseUrl, webhookUrl }) => `\
import openkontext

client = openkontext.Client(base_url=${quote(baseUrl)})
try:
    job = client.submit_async(
        ${quote(edit.slug)},
        webhook=${quote(webhookUrl)},
        input_image=${quote(edit.picture)},
${keywords(edit)}
    )
except openkontext.OpenkontextError as error:
    raise SystemExit(f"Not accepted: {error}")
print(job.request_id)`,
};

/** The hosted service's official client. */
export const segmind = {
  sync: (edit, { baseUrl }) => `\
${segmindClient(edit, baseUrl)}
try:
    response = client.run_sync(
        ${quote(edit.slug)},
        input_image=picture,
${keywords(edit)}
    )
except SegmindError as error:
    raise SystemExit(f"Not edited: {error.detail}")

Path(${quote(edit.output)}).write_bytes(response.content)`,

  async: (edit, { baseUrl }) => `\
${segmindClient(edit, baseUrl, "from urllib.request import urlretrieve\n")}
try:
    job = client.submit_async(
        ${quote(edit.slug)},
        input_image=picture,
${keywords(edit)}
    )
    result = job.wait()
except SegmindError as error:
    raise SystemExit(f"Not edited: {error.detail}")

urlretrieve(result["output"], ${quote(edit.output)})`,
};

/** OpenAI's client. */
export const openai = {
  sync: (edit, { baseUrl }) => `\
import base64
import os
from pathlib import Path

from openai import OpenAI, OpenAIError

client = OpenAI(base_url=${quote(`${baseUrl}/v1`)}, api_key=os.environ["OPENKONTEXT_API_KEY"])
try:
    result = client.images.edit(
        image=Path(${quote(edit.picture)}),
${openaiKeywords(edit)}
    )
except OpenAIError as error:
    raise SystemExit(f"Not edited: {error}")

Path(${quote(edit.output)}).write_bytes(base64.b64decode(result.data[0].b64_json))`,
};

/** No client at all. */
export const requests = {
  sync: (edit, { baseUrl }) => `\
import os

import requests

headers = {"x-api-key": os.environ["OPENKONTEXT_API_KEY"]}
with open(${quote(edit.picture)}, "rb") as picture:
    response = ${post(edit, `${baseUrl}/v1/${edit.slug}`)}
if not response.ok:
    raise SystemExit(response.json()["error"])

with open(${quote(edit.output)}, "wb") as file:
    file.write(response.content)`,

  async: (edit, { baseUrl }) => `\
import os
import time

import requests

headers = {"x-api-key": os.environ["OPENKONTEXT_API_KEY"]}
with open(${quote(edit.picture)}, "rb") as picture:
    response = ${post(edit, `${baseUrl}/v2/${edit.slug}`)}
job = result = response.json()
while "error" not in result and result["status"] != "COMPLETED":
    time.sleep(1)
    result = requests.get(job["response_url"], headers=headers, timeout=30).json()
if "error" in result:
    raise SystemExit(result["error"])

with open(${quote(edit.output)}, "wb") as file:
    file.write(requests.get(result["output"], timeout=30).content)`,

  webhook: (edit, { baseUrl, webhookUrl }) => `\
import os

import requests

headers = {"x-api-key": os.environ["OPENKONTEXT_API_KEY"]}
with open(${quote(edit.picture)}, "rb") as picture:
    response = ${post(edit, withWebhook(`${baseUrl}/v2/${edit.slug}`, webhookUrl))}
if not response.ok:
    raise SystemExit(response.json()["error"])
print(response.json()["request_id"])`,
};

/** A server that takes the webhook; with the library that checks its signature. */
export const pythonReceiver = ({ port, output }) => `\
# pip install standardwebhooks
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import urlretrieve

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["OPENKONTEXT_WEBHOOK_SECRET"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            result = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.send_error(401)
        self.send_response(204)
        self.end_headers()
        if result["status"] == "COMPLETED":
            urlretrieve(result["output"], ${quote(output)})
        print(result["status"], result["request_id"], flush=True)


HTTPServer(("", ${port}), Receiver).serve_forever()`;

function segmindClient(edit, baseUrl, more = "") {
  return `\
import base64
import os
from pathlib import Path
${more}
from segmind import SegmindClient, SegmindError

client = SegmindClient(os.environ["OPENKONTEXT_API_KEY"], base_url=${quote(`${baseUrl}/v1`)}, timeout=90)
data = base64.b64encode(Path(${quote(edit.picture)}).read_bytes()).decode()
picture = ${quote(`data:${typeOf(edit.picture)};base64,`)} + data`;
}

/** The arguments of a call, a line each. */
function keywords({ prompt, fields }) {
  const line = ([name, value]) => `        ${name}=${literal(value)},`;
  return [["prompt", prompt], ...fields].map(line).join("\n");
}

function post(edit, url) {
  const line = ([name, value]) => `            ${quote(name)}: ${literal(value)},`;
  const fields = [["prompt", edit.prompt], ...edit.fields].map(line);
  return `\
requests.post(
        ${quote(url)},
        headers=headers,
        files={"input_image": picture},
        data={
${fields.join("\n")}
        },
        timeout=90,
    )`;
}

const OPENAI_NAMES = { output_format: "output_format", output_quality: "output_compression" };

/** OpenAI has other names for some, takes ours in `extra_body`, and draws a seed where none is named. */
function openaiKeywords({ prompt, fields }) {
  const given = new Map([["seed", 42], ...fields]);
  const shape = given.get("aspect_ratio")?.split(":").map((side) => side * 100).join("x");
  const lines = [`prompt=${literal(prompt)}`];
  if (shape) lines.push(`size=${quote(shape)}`);
  for (const [ours, theirs] of Object.entries(OPENAI_NAMES)) {
    const value = given.get(ours);
    if (value !== undefined) lines.push(`${theirs}=${literal(value === "jpg" ? "jpeg" : value)}`);
  }
  const extra = ["seed", "guidance", "num_inference_steps"].filter((name) => given.has(name));
  const pairs = extra.map((name) => `${quote(name)}: ${literal(given.get(name))}`);
  lines.push(`extra_body={${pairs.join(", ")}}`);
  const code = lines.map((line) => `        ${line},`).join("\n");
  const asksToSkip = given.get("disable_safety_checker");
  return asksToSkip ? `${code}\n        # This route always runs the safety checker.` : code;
}

function literal(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "string" ? quote(value) : String(value);
}
