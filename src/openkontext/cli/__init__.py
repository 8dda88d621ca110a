"""The command line: thin commands over the service, its store, its HTTP and the engine."""

import typer

from . import accounts, books, editing, keys, secrets, serving, verifying, webhooks, workers

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="FLUX.1 Kontext \\[dev] on your own machine: an image and an instruction go in, the edited image comes out.",
)
for command in (
    serving.serve,
    serving.gateway,
    serving.worker,
    editing.edit,
    editing.replay,
    verifying.verify,
    books.usage,
):
    app.command()(command)
app.add_typer(accounts.accounts, name="accounts")
app.add_typer(keys.keys, name="keys")
app.add_typer(accounts.credits, name="credits")
app.add_typer(books.ledger, name="ledger")
app.add_typer(webhooks.webhooks, name="webhooks")
app.add_typer(workers.workers, name="workers")
app.add_typer(secrets.secret, name="secret")


def main() -> None:
    """Entry point."""
    app()
