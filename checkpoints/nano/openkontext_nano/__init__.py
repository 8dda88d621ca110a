"""The nano checkpoint as files: `PATH` is a folder in the diffusers layout."""

from pathlib import Path

__all__ = ["PATH"]

PATH = Path(__file__).parent
