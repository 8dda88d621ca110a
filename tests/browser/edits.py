"""Edits that are there before a test looks at them: asked for over the API, by an account of the test's own."""

from typing import Any

import httpx

from tests.browser.kit import new_key
from tests.chaos.edits import picture
from tests.service import Service, eventually

ENDED = ("COMPLETED", "FAILED")


class Past:
    """An account with a history, to which edits are added; ``key`` lets a page see it."""

    def __init__(self, service: Service, account: str, **permissions: Any) -> None:
        self.key = new_key(service, account, credits=10, **permissions)
        key = new_key(service, account, may_disable_safety=True)
        self.client = httpx.Client(base_url=service.url, headers={"x-api-key": key}, timeout=60)

    def submit(self, prompt: str, *, of: str | None = None, **parameters: Any) -> str:
        """Ask for an edit of few steps, made of the request ``of``'s output where one is named; its id."""
        source = self.body(of)["output"] if of else picture()
        fields = {"input_image": source, "prompt": prompt, "num_inference_steps": 4, "disable_safety_checker": True}
        answer = self.client.post("/v2/flux-kontext-dev", json=fields | parameters)
        assert 200 == answer.status_code, answer.text
        return str(answer.json()["request_id"])

    def edit(self, prompt: str, *, of: str | None = None, **parameters: Any) -> str:
        """As `submit`, and wait for its end."""
        request_id = self.submit(prompt, of=of, **parameters)
        eventually(lambda: self.body(request_id)["status"] in ENDED)
        return request_id

    def body(self, request_id: str) -> dict[str, Any]:
        """What the API says of a request."""
        return dict(self.client.get(f"/v2/requests/{request_id}").json())
