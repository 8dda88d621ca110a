// The edit in Go, with the standard library alone.

import { quote, withWebhook } from "./snippets-quote.js";

/** By variant: a function of the edit and the addresses. */
export const go = {
  sync: (edit, { baseUrl }) => program(edit, [], `\
	picture := send("POST", ${quote(`${baseUrl}/v1/${edit.slug}`)}, form.FormDataContentType(), &body)
	check(os.WriteFile(${quote(edit.output)}, picture, 0o644))`),

  async: (edit, { baseUrl }) => program(edit, ["encoding/json", "time"], `\
	var job struct {
		ResponseURL string \`json:"response_url"\`
	}
	submitted := send("POST", ${quote(`${baseUrl}/v2/${edit.slug}`)}, form.FormDataContentType(), &body)
	check(json.Unmarshal(submitted, &job))

	var result struct{ Status, Output string }
	for result.Status != "COMPLETED" {
		time.Sleep(time.Second)
		// A request that failed is answered as an error, which ends the program.
		check(json.Unmarshal(send("GET", job.ResponseURL, "", nil), &result))
	}
	response, err := http.Get(result.Output)
	check(err)
	defer response.Body.Close()
	picture, err := io.ReadAll(response.Body)
	check(err)
	check(os.WriteFile(${quote(edit.output)}, picture, 0o644))`),

  webhook: (edit, { baseUrl, webhookUrl }) => program(edit, ["fmt"], `\
	url := ${quote(withWebhook(`${baseUrl}/v2/${edit.slug}`, webhookUrl))}
	fmt.Println(string(send("POST", url, form.FormDataContentType(), &body)))`),
};

/** A server that takes the webhook and checks its signature. */
export const goReceiver = ({ port, output }) => `\
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func isGenuine(header http.Header, body []byte) bool {
	encoded := strings.TrimPrefix(os.Getenv("OPENKONTEXT_WEBHOOK_SECRET"), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	seconds, wrong := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil || wrong != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.%s", header.Get("webhook-id"), seconds, body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, each := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(each), []byte(expected)) {
			return true
		}
	}
	return false
}

func receive(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil || !isGenuine(request.Header, body) {
		http.Error(response, "not from the server", http.StatusUnauthorized)
		return
	}
	response.WriteHeader(http.StatusNoContent)
	go save(body)
}

func save(body []byte) {
	var result struct {
		Status, Output string
		ID             string \`json:"request_id"\`
	}
	if json.Unmarshal(body, &result) == nil && result.Output != "" {
		if picture, err := http.Get(result.Output); err == nil {
			defer picture.Body.Close()
			if file, err := os.Create(${quote(output)}); err == nil {
				defer file.Close()
				io.Copy(file, picture.Body)
			}
		}
	}
	fmt.Println(result.Status, result.ID)
}

func main() {
	http.HandleFunc("/", receive)
	log.Fatal(http.ListenAndServe(":${port}", nil))
}`;

/** A whole program: the form, `rest` of main, and what both need. */
function program(edit, packages, rest) {
  const imports = ["bytes", "io", "log", "mime/multipart", "net/http", "os", ...packages].sort();
  const fields = [["prompt", edit.prompt], ...edit.fields];
  return `\
package main

import (
${imports.map((each) => `	${quote(each)}`).join("\n")}
)

func main() {
	input, err := os.ReadFile(${quote(edit.picture)})
	check(err)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("input_image", ${quote(edit.picture)})
	check(err)
	part.Write(input)
${fields.map(([name, value]) => `	form.WriteField(${quote(name)}, ${quote(String(value))})`).join("\n")}
	check(form.Close())

${rest}
}

func send(method, url, kind string, body io.Reader) []byte {
	request, err := http.NewRequest(method, url, body)
	check(err)
	request.Header.Set("x-api-key", os.Getenv("OPENKONTEXT_API_KEY"))
	request.Header.Set("content-type", kind)
	response, err := http.DefaultClient.Do(request)
	check(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", response.Status, answer)
	}
	return answer
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}`;
}
