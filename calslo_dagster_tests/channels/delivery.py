"""Sends letters as the dispatcher does: with a deadline over everything, on a loop that can be left in time."""

import asyncio

from calslo_dagster.channels import threads
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Retryable

DEADLINE_SECONDS = 8.0


async def sent(channel: Channel, letter: Letter) -> Receipt:
    """Send the letter within the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await channel.send(letter)
    except TimeoutError:
        raise Retryable("out of time", Failure.DEADLINE, may_have_arrived=True) from None


def deliver(channel: Channel, letter: Letter) -> Receipt:
    """Send one letter."""
    return threads.run(sent(channel, letter))
