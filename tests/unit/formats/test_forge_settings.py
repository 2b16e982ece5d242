"""A wrong value of ``[gitea]`` is named, and a secret never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit import config
from lazarus_pit.errors import ConfigError, FormatError
from lazarus_pit.formats import pool_config
from lazarus_pit.formats.forge_settings import Gitea, check


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("approvers = [1]", "[gitea] approvers: found a list, expected a list of logins"),
        ("webhook_port = 70000", "[gitea] webhook_port: found 70000"),
        ("poll_interval = 0", "[gitea] poll_interval: found 0"),
        ("token = 7", "[gitea] token: expected a text"),
        ("webhook_port = 7", "[gitea] webhook_secret: missing"),
        ("url = 'forge'", '[gitea] url: found "forge", expected https://git.example.org'),
        ("url = 'ftp://x'", "[gitea] url"),
        ("repo = 'a/b/c'", '[gitea] repo: found "a/b/c", expected owner/name'),
        ("tokn = 'a'", "[gitea] tokn: no such key, did you mean token?"),
    ],
)
def test_a_wrong_value_is_named(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(f"[gitea]\n{line}\n".encode(), Path("pit.toml"))
    where = "line 1" if "missing" in said else "line 2"
    assert f"pit.toml: {where}: {said}" in str(caught.value)


def test_a_secret_is_never_shown() -> None:
    assert "s3cret" not in repr(Gitea(token="s3cret", webhook_secret="s3cret"))  # noqa: S106
    with pytest.raises(FormatError) as caught:
        check("token", ["s3cret"])
    assert "s3cret" not in str(caught.value)
    with pytest.raises(FormatError):
        check("token", "a\nb")


def test_the_pool_reads_the_same_keys() -> None:
    found, warnings = pool_config.parse(b'{"gitea": {"url": "http://forge", "approvers": ["ada"]}}')
    assert (found.gitea.approvers, warnings) == (("ada",), [])
    assert not found.has_channel  # There is no token.
    with pytest.raises(FormatError, match=r"gitea\.poll_interval"):
        pool_config.parse(b'{"gitea": {"poll_interval": "soon"}}')
