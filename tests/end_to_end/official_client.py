"""What users of the hosted service write, unchanged: run as a script with the module to import as its argument.

official_client.py MODULE BASE_URL API_KEY PICTURE_URL      prints a JSON object of what it saw
"""

import importlib
import json
import sys


def main(module: str, base_url: str, api_key: str, picture: str) -> None:
    """Go through success and failure paths as the hosted client's documentation shows them."""
    segmind = importlib.import_module(module)
    slug = "flux-kontext-dev"
    client = segmind.SegmindClient(api_key=api_key, base_url=f"{base_url}/v1")
    edit = {"input_image": picture, "prompt": "make it snow", "num_inference_steps": 4}
    seen = {}

    result = client.run(slug, **edit)
    seen["run"] = [result["status"], result["seed"], result["output"]]

    response = client.run_sync(slug, **edit, output_format="jpg")
    seen["run_sync"] = [response.status_code, response.headers["content-type"], response.content[:3].hex()]

    job = client.submit_async(slug, **edit, seed=7)
    seen["queued"] = job.submit_response["status"]
    seen["wait"] = [job.wait(timeout=60, interval=0.05)["seed"], job.status()["status"], job.result()["status"]]

    job = client.submit_async(slug, **edit | {"input_image": picture.replace("picture.png", "missing.png")})
    try:
        job.wait(timeout=60, interval=0.05)
    except segmind.InferenceFailed as error:
        seen["failed"] = [error.detail, error.status_body["status"], job.status()["status"]]

    job = client.submit_async(slug, **edit | {"num_inference_steps": 50})
    try:
        job.wait(timeout=0, interval=0.05)
    except segmind.InferenceTimeout as error:
        seen["timeout"] = error.request_id == job.request_id
    job.wait(timeout=60, interval=0.05)

    for name, wrong in {"guidance": 11, "promt": "x"}.items():
        try:
            client.run(slug, **edit | {name: wrong})
        except segmind.SegmindError as error:
            seen[name] = [error.status, error.detail]
    try:
        segmind.SegmindClient(api_key="SG_0000000000000000", base_url=f"{base_url}/v1").run_sync(slug, **edit)
    except segmind.SegmindError as error:
        seen["key"] = [error.status, error.detail]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
