"""What tests of the pages may look for is what docs/pages.md lists."""

import re
from pathlib import Path

from openkontext.web.files import FOLDER

DOCS = Path(__file__).parents[2] / "docs" / "pages.md"
# In a template, in a call of `h`; those with a part that is put in have that part's values in the docs.
TESTID = re.compile(r"""(?:data-testid="|"data-testid": "|\btestid: ")([a-zA-Z0-9_:-]+)\"""")


def test_every_testid_is_listed():
    """A name that no document promises may change, and somebody's test would break."""
    sources = [path for path in FOLDER.parent.rglob("*") if path.suffix in (".html", ".js")]
    used = {name for path in sources for name in TESTID.findall(path.read_text())}
    listed = {name for words in re.findall(r"`([^`]+)`", DOCS.read_text()) for name in words.split()}
    assert len(used) > 100
    assert set() == used - listed
