// The edit in JavaScript and TypeScript, with what Node brings: fetch, FormData, its own modules.

import { quote, withWebhook } from "./snippets-quote.js";

const RESULT = 'type Result = { status: string; request_id: string; output?: string; error?: string };\n';

/** By variant: a function of the edit and the addresses. */
export const javascript = writers(false);

/** The same, with types. */
export const typescript = writers(true);

function writers(typed) {
  const json = (answer, type) => (typed ? `(await ${answer}.json()) as ${type}` : `await ${answer}.json()`);
  const key = `process.env.OPENKONTEXT_API_KEY${typed ? "!" : ""}`;
  return {
    sync: (edit, { baseUrl }) => `\
import { readFile, writeFile } from "node:fs/promises";

${form(edit)}

const response = await fetch(${quote(`${baseUrl}/v1/${edit.slug}`)}, {
  method: "POST",
  headers: { "x-api-key": ${key} },
  body: form,
});
if (!response.ok) throw new Error((${json("response", "{ error: string }")}).error);
await writeFile(${quote(edit.output)}, new Uint8Array(await response.arrayBuffer()));`,

    async: (edit, { baseUrl }) => `\
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";

${typed ? `${RESULT}type Job = Result & { response_url: string };\n\n` : ""}${form(edit)}

const headers = { "x-api-key": ${key} };
const url = ${quote(`${baseUrl}/v2/${edit.slug}`)};
const submitted = await fetch(url, { method: "POST", headers, body: form });
const job = ${json("submitted", "Job")};
let result${typed ? ": Result" : ""} = job;
while (!result.error && result.status !== "COMPLETED") {
  await setTimeout(1000);
  result = ${json("(await fetch(job.response_url, { headers }))", "Result")};
}
if (result.error) throw new Error(result.error);
const picture = await fetch(result.output${typed ? "!" : ""});
await writeFile(${quote(edit.output)}, new Uint8Array(await picture.arrayBuffer()));`,

    webhook: (edit, { baseUrl, webhookUrl }) => `\
import { readFile } from "node:fs/promises";

${form(edit)}

const response = await fetch(${quote(withWebhook(`${baseUrl}/v2/${edit.slug}`, webhookUrl))}, {
  method: "POST",
  headers: { "x-api-key": ${key} },
  body: form,
});
const job = ${json("response", "{ request_id: string; error?: string }")};
if (!response.ok) throw new Error(job.error);
console.log(job.request_id);`,
  };
}

/** A server that takes the webhook and checks its signature. */
export function nodeReceiver({ port, output }, typed) {
  const typesOf = (types) => (typed ? types : "");
  const parameters = typed ? "headers: IncomingHttpHeaders, body: string" : "headers, body";
  const secret = `process.env.OPENKONTEXT_WEBHOOK_SECRET${typed ? "!" : ""}`;
  return `\
import { createHmac, timingSafeEqual } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer${typesOf(", type IncomingHttpHeaders")} } from "node:http";
${typesOf(`\n${RESULT}`)}
const secret = Buffer.from(${secret}.replace("whsec_", ""), "base64");

function isGenuine(${parameters}) {
  const time = headers["webhook-timestamp"];
  const signed = \`\${headers["webhook-id"]}.\${time}.\${body}\`;
  const expected = createHmac("sha256", secret).update(signed).digest();
  const signatures = String(headers["webhook-signature"]).split(" ");
  const matches = signatures.map((each) => Buffer.from(each.replace("v1,", ""), "base64"))
    .some((each) => each.length === expected.length && timingSafeEqual(each, expected));
  return matches && Math.abs(Date.now() / 1000 - Number(time)) < 300;
}

createServer(async (request, response) => {
  let body = "";
  for await (const piece of request.setEncoding("utf8")) body += piece;
  if (!isGenuine(request.headers, body)) return response.writeHead(401).end();
  response.writeHead(204).end();
  const result = JSON.parse(body)${typesOf(" as Result")};
  if (result.output) {
    const picture = await fetch(result.output);
    await writeFile(${quote(output)}, new Uint8Array(await picture.arrayBuffer()));
  }
  console.log(result.status, result.request_id);
}).listen(${port});`;
}

function form(edit) {
  const fields = [["prompt", edit.prompt], ...edit.fields];
  return [
    "const form = new FormData();",
    "// In a browser: the File that was picked, as it is.",
    `form.append("input_image", new Blob([await readFile(${quote(edit.picture)})]), ${quote(edit.picture)});`,
    ...fields.map(([name, value]) => `form.append(${quote(name)}, ${quote(String(value))});`),
  ].join("\n");
}
