"""A name in the configuration and the channel that it means; each is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lazarus_pit.channels.base import Channel
from lazarus_pit.channels.desk import Desk
from lazarus_pit.formats.channel_settings import Channels
from lazarus_pit.formats.forge_settings import Gitea

_NO_FORGE = Gitea()


def makers(settings: Channels, gitea: Gitea = _NO_FORGE) -> dict[str, Callable[[Desk], Channel]]:
    """Return how each configured channel is made."""
    made: dict[str, Callable[[Desk], Channel]] = {
        name: partial(_MAKERS[name], settings) for name in settings.configured if name in _MAKERS
    }
    if gitea.answers:
        made["gitea"] = partial(_gitea, gitea)
    return made


def _telegram(settings: Channels, desk: Desk) -> Channel:
    from lazarus_pit.channels.telegram import Telegram  # noqa: PLC0415 - only who is configured

    return Telegram(settings.telegram, desk)


def _gitea(settings: Gitea, desk: Desk) -> Channel:
    from lazarus_pit.channels.comments import Comments  # noqa: PLC0415

    return Comments(settings, desk.pit, desk)


def _nostr(settings: Channels, desk: Desk) -> Channel:
    from lazarus_pit.channels.nostr import Nostr  # noqa: PLC0415 - only who is configured

    return Nostr(settings.nostr, desk)


_MAKERS: dict[str, Callable[[Channels, Desk], Channel]] = {
    "telegram": _telegram,
    "nostr": _nostr,
}
