"""What vendors say when quota, login or room is lacking, in the words that people have met."""

from __future__ import annotations

import pytest

from lazarus_pit.presets.base import AGAIN_MAX, Sort, again_in, failed, limit_of

FULL, QUOTA, LOGIN = Sort.EXHAUSTED, Sort.QUOTA, Sort.LOGIN
SAID = [
    ("anthropics/claude-code#24687", QUOTA, "You've hit your limit · resets 4pm (Asia/Dhaka)"),
    ("anthropics/claude-code#74079", QUOTA, "You've hit your session limit · resets 12:50am (UTC)"),
    ("anthropics/claude-code#33811", LOGIN, "OAuth token has expired. … · Please run /login"),
    (
        "anthropics/claude-code#79685",
        LOGIN,
        "Failed to authenticate: OAuth session expired and could not be refreshed",
    ),
    ("openai/codex#3124", QUOTA, "You've hit your usage limit. … or try again in 2 days 17 hours"),
    (
        "openai/codex#9634",
        LOGIN,
        "Your access token could not be refreshed because your refresh token was already used.",
    ),
    ("google-gemini/gemini-cli#19976", QUOTA, "Resource has been exhausted (e.g. check quota)."),
    ("google-gemini/gemini-cli#14811", QUOTA, "Resource exhausted. Please try again later."),
    (
        "google-gemini/gemini-cli#22107",
        QUOTA,
        "You have exhausted your capacity on this model. Your quota will reset after 5s.",
    ),
    ("google-gemini/gemini-cli#4690", LOGIN, "API key not valid. Please pass a valid API key."),
    ("google-gemini/gemini-cli#4430", LOGIN, "API key expired. Please renew the API key."),
    ("google-gemini/gemini-cli#5895", LOGIN, "API Key not found. Please pass a valid API key."),
    (
        "google-gemini/gemini-cli#13006",
        FULL,
        "The input token count (1054016) exceeds the maximum number of tokens allowed (1048576).",
    ),
    ("QwenLM/qwen-code#882", QUOTA, "[API Error: 429 status code (no body)]"),
    ("QwenLM/qwen-code#1742", QUOTA, "429 Free allocated quota exceeded."),
    ("anomalyco/opencode#42215", QUOTA, "Free Usage Exceeded, Subscribe To Go"),
    ("anomalyco/opencode#17614", QUOTA, "The usage limit has been reached"),
    ("anomalyco/opencode#45893", QUOTA, "Rate limit exceeded. Please try again later."),
    (
        "anomalyco/opencode#14255",
        LOGIN,
        'Unauthorized: {"error":{"message":"User not found.","code":401}}',
    ),
    ("continuedev/continue#9942", QUOTA, "402 Insufficient Balance"),
    (
        "Aider-AI/aider#4851",
        QUOTA,
        'litellm.BadRequestError: DeepseekException - {"error":{"message":"Insufficient Balance"}}',
    ),
    ("aider 0.86.2, run", QUOTA, "litellm.RateLimitError: RateLimitError: OpenAIException - no"),
    ("aider 0.86.2, run", LOGIN, "litellm.AuthenticationError: AuthenticationError: no"),
]


@pytest.mark.parametrize(("source", "sort", "text"), SAID, ids=[one[2][:40] for one in SAID])
def test_a_vendors_words_are_understood(source: str, sort: Sort, text: str) -> None:
    assert limit_of(text) is sort, source


@pytest.mark.parametrize(
    "text",
    ["Overloaded", "Internal server error", "connection reset by peer", "No such tool: limit"],
)
def test_what_is_no_limit_is_an_ordinary_failure(text: str) -> None:
    assert limit_of(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("or try again in 2 days 17 hours 14 minutes.", 2 * 86400 + 17 * 3600 + 14 * 60),
        ("or try again in 5 days 22 hours 11\nminutes.", 5 * 86400 + 22 * 3600 + 11 * 60),
        ("Your quota will reset after 161h39m41s.", 161 * 3600 + 39 * 60 + 41),
        ("Your quota will reset after 5s.. Retrying after 6173ms...", 5),
        ("Rate limit reached. Please try again in 1m30.5s.", 90.5),
        ("Please try again in 20 seconds", 20),
        ("try again in 999999 days", AGAIN_MAX),
        ("Please try again in 6ms.", 0),
        ("Please try again later.", 0),
        ("You've hit your limit · resets 4pm (Asia/Dhaka)", 0),
    ],
)
def test_when_there_is_quota_again_is_read_from_the_words(text: str, seconds: float) -> None:
    assert again_in(text) == pytest.approx(seconds)


def test_a_wait_is_told_before_the_quota_and_of_nothing_else() -> None:
    sorts = [one.sort for one in failed("You've hit your usage limit: try again in 3 hours.")]
    assert sorts == [Sort.FAILED, Sort.AGAIN, Sort.QUOTA]
    assert [one.sort for one in failed("Overloaded: try again in 3 hours.")] == [Sort.FAILED]
