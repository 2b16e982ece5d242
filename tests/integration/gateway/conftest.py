"""One gateway for the tests of a module; those that need other flags run their own."""

from collections.abc import Iterator

import pytest

from nexus import Gateway, running


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running() as started:
        yield started
        assert started.process.poll() is None, "the gateway has died"
