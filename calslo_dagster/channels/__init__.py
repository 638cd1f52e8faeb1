"""Ways to reach people: one module per channel, all with the shape of `channels.base.Channel`.

A channel sends one message and says how that went. It decides nothing about when, whom, or how often.
"""
