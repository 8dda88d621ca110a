"""`python -m openkontext`, and the `openkontext` command."""

import sys


def main() -> None:
    """Run the command line, or say what to install: the bare package is the SDK alone."""
    try:
        from openkontext.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("openkontext"):
            raise
        sys.exit(f"error: {error.name} is not installed; the command line needs: pip install 'openkontext[serve]'")
    run()


if __name__ == "__main__":
    main()
