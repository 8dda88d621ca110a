// The edit for a shell with curl, and with jq where an answer has to be read.

import { shellQuote, withWebhook } from "./snippets-quote.js";

/** By variant: a function of the edit and the addresses. */
export const curl = {
  sync: (edit, { baseUrl }) => `\
curl --fail-with-body -sS ${shellQuote(`${baseUrl}/v1/${edit.slug}`)} \\
${form(edit, "  ")} \\
  -o ${edit.output} || cat ${edit.output}`,

  async: (edit, { baseUrl }) => `\
job=$(curl -sS ${shellQuote(`${baseUrl}/v2/${edit.slug}`)} \\
${form(edit, "  ")})

if url=$(jq -er .response_url <<< "$job"); then
  until result=$(curl -sS "$url" -H "x-api-key: $OPENKONTEXT_API_KEY")
        jq -e '.status == "COMPLETED" or .error' <<< "$result" > /dev/null
  do sleep 1; done
  curl -fsL "$(jq -r .output <<< "$result")" -o ${edit.output} || jq -r .error <<< "$result"
else
  jq -r .error <<< "$job"
fi`,

  webhook: (edit, { baseUrl, webhookUrl }) => `\
curl --fail-with-body -sS ${shellQuote(withWebhook(`${baseUrl}/v2/${edit.slug}`, webhookUrl))} \\
${form(edit, "  ")}`,
};

/** A check of what arrived, with openssl. */
export function curlReceiver() {
  return `\
# What arrived: the headers in $id, $timestamp and $signature, the body as it came in body.json.
key=$(base64 -d <<< "\${OPENKONTEXT_WEBHOOK_SECRET#whsec_}" | od -An -v -tx1 | tr -d ' \\n')
expected=$(printf '%s.%s.' "$id" "$timestamp" | cat - body.json |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
if [ "$signature" = "v1,$expected" ]; then
  jq -r '"\\(.status) \\(.request_id) \\(.output // .error)"' body.json
else
  echo "This is not from the server" >&2
fi`;
}

function form(edit, indent) {
  // --form-string: of a -F, curl would read files named by @ and <.
  const fields = [["prompt", edit.prompt], ...edit.fields].map((field) => shellQuote(field.join("=")));
  const lines = [
    '-H "x-api-key: $OPENKONTEXT_API_KEY"',
    `-F ${shellQuote(`input_image=@${fileName(edit.picture)}`)}`,
    ...fields.map((field) => `--form-string ${field}`),
  ];
  return lines.map((line) => indent + line).join(" \\\n");
}

/** A file's name inside of -F, where ; and , end it unless it is in quotes. */
function fileName(name) {
  return /[;,"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}
