"""The peers that letters are sent to."""

from collections.abc import Iterator

import pytest

from calslo_dagster_tests.peers.running import Peer, running_peer


@pytest.fixture(scope="session")
def running_peers() -> Iterator[Peer]:
    """Yield the peers, one process for all tests of a test process."""
    with running_peer() as peer:
        yield peer


@pytest.fixture
def peer(running_peers: Peer) -> Iterator[Peer]:
    """Yield the peers as new; afterwards no rule of a service may have been broken."""
    before = len(running_peers.violations())
    running_peers.start_over()
    yield running_peers
    running_peers.start_over()
    assert running_peers.violations()[before:] == []
