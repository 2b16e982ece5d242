"""An agent that writes a field guide, a chapter at a time, and commits each.

It remembers nothing: where to go on is what the repository says. A chapter that its last life
did not commit is written again, word for word, so that none is lost and none is there twice.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from repository import Repository

from lazarus_pit.beat import Heart

CREATURES = (
    "beadlet anemone",
    "common limpet",
    "shore crab",
    "dog whelk",
    "rock goby",
    "sea lettuce",
    "hermit crab",
    "mermaid's purse",
    "brittle star",
    "coral weed",
)
ZONES = ("splash zone", "upper shore", "middle shore", "lower shore")
CHAPTERS = 400


def chapter(number: int) -> str:
    """Return the text of a chapter: the same number always gives the same text."""
    creature = CREATURES[number % len(CREATURES)]
    zone = ZONES[number // len(CREATURES) % len(ZONES)]
    pond = number // (len(CREATURES) * len(ZONES)) + 1
    return (
        f"# {number}. The {creature} of pond {pond}\n\n"
        f"Look for it on the {zone}, {3 + number % 7} steps from the water's edge. "
        f"When the tide is out it waits under weed and stone; "
        f"{2 + number % 5} were counted in pond {pond} on the last walk.\n"
    )


def main() -> None:
    """Write chapters until all are written."""
    pace = float(os.environ.get("PACE", "0.5"))
    generation = os.environ.get("LAZARUS_GENERATION", "0")
    heart = Heart()
    repository = Repository(Path("guide"), "scribe")
    chapters = repository.top / "chapters"
    heart.beat(status="reading what is there", cycle=0)
    while True:
        with repository.turn(heart.beat):
            chapters.mkdir(exist_ok=True)
            number = len(repository.committed("chapters")) + 1
            if number > CHAPTERS:
                break
            path = chapters / f"{number:03}.md"
            temporary = path.with_suffix(".tmp")
            temporary.write_text(chapter(number))
            temporary.rename(path)
            title = chapter(number).splitlines()[0].removeprefix("# ")
            message = f"{title}\n\nAgent: scribe\nGeneration: {generation}"
            repository.commit([f"chapters/{path.name}"], message)
        heart.beat(status=f"wrote chapter {number}", cycle=number)
        print(f"generation {generation}: wrote chapter {number}", flush=True)
        time.sleep(pace)
    print(f"all {CHAPTERS} chapters are written", flush=True)


if __name__ == "__main__":
    main()
