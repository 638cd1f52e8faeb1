"""Tests that break things on purpose: processes killed at any moment, storms of alerts, channels that misbehave."""
