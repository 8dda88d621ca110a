"""`openkontext edit --server`: one edit on another machine's service, with a progress bar."""

import math
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from openkontext.client import Client, Event, Job, OpenkontextError
from openkontext.contract import CODES, SLUG, InvalidParameters, Problem, State
from openkontext.local import format_of


def edit_remote(
    picture: Path, out: Path, fields: dict[str, Any], *, server: str, api_key: str | None, console: Console
) -> None:
    """Edit ``picture`` as the contract's ``fields`` say on the service at ``server``, and write ``out``.

    ``api_key`` None: the environment's, OPENKONTEXT_API_KEY or SEGMIND_API_KEY. Who interrupts it cancels the edit,
    which then isn't charged.

    Raises `Problem`, as `openkontext.local.edit_file` does: for an output that can't be written before anything is
    sent, for what the server refuses, for an edit that failed, and for a server that doesn't answer.
    """
    fields = fields | {"input_image": picture, "output_format": format_of(out)}
    try:
        with Client(api_key, server) as client:
            job = client.submit_async(SLUG, **fields)
            result = _follow(job, console)
            _report(result, len(job.download(out)), out, console)
    except OpenkontextError as error:
        code = error.code if error.code in CODES else "inference_failed"
        raise Problem(code, error.detail or str(error), extra={"request_id": error.request_id}) from None
    except httpx.TransportError as error:
        raise Problem("unavailable", f"no answer from {server}: {str(error) or type(error).__name__}") from None
    except ValueError as error:
        raise InvalidParameters([str(error)]) from None


def _follow(job: Job, console: Console) -> dict[str, Any]:
    """The job's result, its way there shown as a bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("waiting", total=None, left="")
        try:
            # The server ends every request, and who sits here can interrupt it.
            return job.wait(timeout=math.inf, on_progress=lambda event: draw(bar, task, event))
        except KeyboardInterrupt:
            job.cancel()
            raise


def draw(bar: Progress, task: TaskID, event: Event) -> None:
    """Show on the bar what happened."""
    if event.queue_position is not None:
        bar.update(task, description=f"waiting, number {event.queue_position} in the queue")
    elif event.status == State.PROCESSING:
        bar.update(task, description="editing")
    if event.steps is not None:
        left = "" if event.eta_seconds is None else f"{event.eta_seconds:.0f} s left"
        bar.update(task, completed=event.step, total=event.steps, left=left)


def _report(result: dict[str, Any], size: int, out: Path, console: Console) -> None:
    for warning in result.get("warnings", []):
        console.print(f"warning: {warning}", style="yellow", markup=False)
    metrics = result.get("metrics", {})
    parts = [f"{size} bytes", f"seed {result.get('seed')}"]
    if "inference_time" in metrics:
        parts.append(f"{metrics['inference_time']:.1f} s")
    if "cost" in metrics:
        parts.append(f"cost {metrics['cost']}")
    console.print(f"{out}: {', '.join(parts)}", markup=False)
