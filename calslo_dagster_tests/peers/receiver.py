"""A receiver of the generic webhook that acts once per idempotency key."""

from typing import Any

from calslo_dagster_tests.peers.wire import Reply, Request, json_reply


class Receiver:
    """Takes JSON messages, each key once."""

    def __init__(self) -> None:
        self.taken: dict[str, list[Any]] = {}

    def take(self, request: Request) -> Reply:
        """Return the answer to a message, after its effect."""
        key = request.headers.get("idempotency-key", "")
        rules = {
            "no POST": request.method != "POST",
            "the content type is not JSON": not request.headers.get("content-type", "").startswith("application/json"),
            "the body is no JSON": request.json is None,
        }
        if violations := tuple(rule for rule, is_broken in rules.items() if is_broken):
            return json_reply({"errors": violations}, 400, violations)
        # A message without a key is one of its own.
        repeats = self.taken.setdefault(key or f"none-{len(self.taken)}", [])
        repeats.append(request.json)
        return json_reply({"repeat": len(repeats) > 1})

    def state(self) -> dict[str, Any]:
        """Return how often each key came."""
        return {key: len(messages) for key, messages in self.taken.items()}
