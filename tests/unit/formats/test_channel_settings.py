"""The tables of the channels: checked to the key, and silent about secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import fields

from lazarus_pit import config
from lazarus_pit.errors import ConfigError, FormatError
from lazarus_pit.formats import channel_settings, pool_config
from lazarus_pit.formats.channel_settings import TABLES, Channels, Telegram

HERE = Path("lazarus-pit.toml")
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"  # noqa: S105 - nobody's


def toml(source: str) -> config.Config:
    return config.parse(source.encode(), HERE)


def test_every_key_has_words_for_what_it_expects() -> None:
    for name, table in TABLES.items():
        for info in fields(table):
            assert channel_settings.check(name, info.name, info.default) == info.default


def test_nobody_is_reached_by_default() -> None:
    assert toml("").channels == Channels()
    assert (Channels().configured, Channels().halves) == ([], [])


def test_the_same_tables_stand_in_both_configurations() -> None:
    found = toml(f'[telegram]\nbot_token = "{TOKEN}"\nchat_id = -100123\nallowed_users = [7]')
    pool, warnings = pool_config.parse(
        b'{"telegram": {"bot_token": "%s", "chat_id": -100123, "allowed_users": [7]}}'
        % TOKEN.encode()
    )
    assert found.telegram == pool.telegram
    assert found.channels.configured == pool.channels.configured == ["telegram"]
    assert (pool.has_channel, warnings) == (True, [])


def test_half_a_channel_is_none_and_is_told() -> None:
    found = toml('[telegram]\nbot_token = "x"\n[nostr]\nrecipient_pubkey = "npub1x"').channels
    assert found.configured == []
    assert found.halves == [
        "[telegram] chat_id: missing; nobody is asked there",
        "[nostr] relays: missing; nobody is asked there",
    ]


def test_the_environment_wins(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[telegram]\nbot_token = "x"\nchat_id = 5')
    environ = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "-42", "NOSTR_SECRET_KEY": "nsec1"}
    found = config.load(path, environ)
    assert (found.telegram.bot_token, found.telegram.chat_id) == (TOKEN, "-42")
    assert found.nostr.secret_key == environ["NOSTR_SECRET_KEY"]
    with pytest.raises(ConfigError, match="TELEGRAM_CHAT_ID: chat_id: found a control"):
        config.load(path, {"TELEGRAM_CHAT_ID": "my\tchat"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('[telegram]\nchat_id = "a\\tb"', "line 2: [telegram] chat_id: found a control"),
        ("[telegram]\nchat_id = 1.5", "[telegram] chat_id: found 1.5, expected a number, or @name"),
        ('[telegram]\nallowed_users = ["ada"]', "[telegram] allowed_users: found a list, expected"),
        ('[telegram]\napi_url = "ftp://x"', "[telegram] api_url: expected an address that begins"),
        ('[nostr]\nrelays = ["https://x"]', "[nostr] relays: expected an address"),
        ('[nostr]\ndm = "nip99"', '[nostr] dm: found "nip99", expected nip17 or nip04'),
        ("[apprise]\nurls = 5", "[apprise] urls: expected a list of texts"),
        ("[telegram]\ntoken = 5", "[telegram] token: no such key, did you mean bot_token?"),
    ],
)
def test_what_cannot_be_is_named(source: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        toml(source)
    assert said in str(error.value)


def test_a_secret_is_not_shown() -> None:
    assert TOKEN not in repr(Telegram(bot_token=TOKEN, chat_id=5))
    with pytest.raises(FormatError) as error:
        channel_settings.check("telegram", "bot_token", [TOKEN])
    assert TOKEN not in str(error.value)
    with pytest.raises(FormatError) as error:
        channel_settings.check("telegram", "bot_token", TOKEN + "\n")
    assert TOKEN not in str(error.value)
