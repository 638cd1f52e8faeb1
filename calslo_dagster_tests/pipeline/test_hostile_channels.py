"""Whatever one channel's service does, the others are told on time, the fall-back stands in, and nothing is lost."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from calslo_dagster.pipeline.deliver_outbox import DEADLINE
from calslo_dagster_tests.peers.running import running_peer
from calslo_dagster_tests.pipeline.hostility import ARRIVES, CHANNELS, DOUBTFUL, LOOKS, MODES, NAMELESS, Play, counted

ALL = [(mode, channel) for mode in MODES for channel in CHANNELS]
# Most of the time is spent waiting for services that do not answer, so the plays go on beside each other.
AT_ONCE = 8
# Other plays and other tests want the machine too; a dispatcher that waits for its service waits for ever.
SLACK_SECONDS = 20


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], "Future[Play]"]]:
    """Yield every play, each with another channel or another way to be hostile."""
    with running_peer() as peer, ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (mode, channel): pool.submit(Play(mode, channel, peer, tmp_path_factory.mktemp(f"{mode}{channel}")).run)
            for mode, channel in ALL
        }


@pytest.fixture
def play(request: pytest.FixtureRequest, plays: dict[tuple[str, str], "Future[Play]"]) -> Play:
    """Return the play of these parameters."""
    return plays[request.param].result()


every_play = pytest.mark.parametrize("play", ALL, ids="-".join, indirect=True)


@every_play
def test_the_other_channels_are_told_in_the_first_look(play: Play) -> None:
    others = {name: status for name, status in play.first.items() if name != play.channel}

    assert others == {name: "sent" for name in CHANNELS if name != play.channel}
    assert play.first[play.channel] == ("dead" if play.mode == "403" else "pending")


@every_play
def test_no_look_waits_for_longer_than_the_deadline(play: Play) -> None:
    assert len(play.looks) == LOOKS
    assert max(play.looks) < DEADLINE.total_seconds() + SLACK_SECONDS


@every_play
def test_the_fall_back_pages_within_two_looks(play: Play) -> None:
    assert play.told_instead is not None
    assert play.told_instead <= 2


@every_play
def test_once_mended_nothing_is_lost_and_nothing_told_twice(play: Play) -> None:
    once = Counter({"trigger": 1, "resolve": 1})

    assert play.left == []
    assert {name: counted(play, name) for name in CHANNELS if name != play.channel} == {
        name: once for name in CHANNELS if name != play.channel
    }
    # The page may still be on its way when the incident ends, so that the end is told once more to end it for sure.
    expected = Counter({"trigger": 1, "resolve": 2}) if play.mode in DOUBTFUL else once
    told = counted(play, play.channel)
    if play.mode in ARRIVES and play.channel != "receiver":
        # Nobody could know that it had arrived: it comes again under the same key, which a chat cannot recognize.
        told["trigger"] = min(told["trigger"], 1)
    assert told == expected


def test_nobody_lives_at_an_address_that_has_no_name(plays: dict[tuple[str, str], "Future[Play]"]) -> None:
    """Else the plays without a name would show nothing."""
    play = plays[NAMELESS, "receiver"].result()

    assert play.first["receiver"] == "pending"
