"""The pages: templates, and the files that go with them; all of it from this folder, nothing from elsewhere."""

from .files import VERSION, Asset, asset
from .samples import SAMPLES, Sample
from .templates import PAGES, render

__all__ = ["PAGES", "SAMPLES", "VERSION", "Asset", "Sample", "asset", "render"]
