"""What other monitoring is told has one place to go to, and a cap that means something."""

from pathlib import Path

import pytest

from calslo_dagster_tests.settings.files import loaded, mistakes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("datadog: {agent: localhost}", "localhost is no host with a port; write 127.0.0.1:8125"),
        ("datadog: {agent: 'localhost:99999'}", "localhost:99999 is no host with a port; write 127.0.0.1:8125"),
        ("datadog: {url: 'https://api.datadoghq.eu'}", "url and api_key belong together"),
        ("datadog: {api_key: 'env:KEY'}", "url and api_key belong together"),
        ("datadog: {agent: 'a:1', url: 'https://b', api_key: 'env:KEY'}", "by agent or by url, not by both"),
        ("prometheus: {most_series: 10}", "prometheus.most_series"),
    ],
)
def test_a_mistake_says_what_to_write(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in line for line in mistakes(tmp_path, text))


def test_a_key_that_is_not_to_be_found_is_told(tmp_path: Path) -> None:
    text = "datadog: {url: 'https://api.datadoghq.eu', api_key: 'env:NO_SUCH_KEY'}"

    [missing] = loaded(tmp_path, text).missing_secrets()

    assert "NO_SUCH_KEY" in missing
