"""The pages in Debian's chromium. A package, so that the browser ends with its last test: see `conftest.browser`."""
