#!/bin/sh
# Two agents of different makers write one guide: Claude Code writes, Codex reviews, and they talk by mail.
#
# The daemon (`lazarus up`) needs ANTHROPIC_API_KEY and CODEX_API_KEY in its environment. More flags for each agent,
# such as --model or --program, may stand in WRITER_FLAGS and CRITIC_FLAGS; where the pit is, in PIT_FLAGS.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2086 # flags are several words
{
    lazarus cell create --name guide --mission "$(cat "$here/mission.txt")" ${PIT_FLAGS-}
    lazarus spawn guide writer --preset claude_code --network allow --allow api.anthropic.com \
        --env-from ANTHROPIC_API_KEY ${WRITER_FLAGS-} ${PIT_FLAGS-} -- "$(cat "$here/writer.txt")"
    lazarus spawn guide critic --role reviewer --preset codex --network allow --allow api.openai.com \
        --env-from CODEX_API_KEY ${CRITIC_FLAGS-} ${PIT_FLAGS-} -- "$(cat "$here/critic.txt")"
}
echo "watch them: lazarus top, lazarus events guide -f, lazarus mail log --cell guide"
