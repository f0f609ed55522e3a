"""Human sentiment ratings of film-review snippets as demonstrations and comparisons.

The source distribution of vaderSentiment carries 10,605 snippets with the ratings (-4 to 4) of many
people each (Hutto and Gilbert 2014, MIT licence):

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python examples/movie_reviews.py vaderSentiment-3.3.2.tar.gz movies
    accord init film-critic --recipe smollm2 && cd film-critic
    accord import ../movies/demonstrations.jsonl --name movies
    accord import ../movies/comparisons.jsonl --name ratings --unit response --dev 0.3

Nobody compared two snippets: a comparison is derived from two rating lists, and its soft label is
P(a rated above b) + half P(equal) over all pairs of their ratings. That is why `source` says so.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from accord.collect.rated import Rated, derived_comparisons, rated_snippets, shuffled
from accord.core.types import Conversation

DEMONSTRATIONS = 1000
COMPARISONS = 2500
PROMPT = Conversation.of("Write one sentence of a film review.", system="You review films.")


def main(archive: Path, folder: Path) -> None:
    """Write demonstrations.jsonl and comparisons.jsonl, of different snippets."""
    found = list(rated_snippets(archive))
    rows = shuffled((row for row in found if isinstance(row, Rated)), seed=0)
    print(f"{len(found)} snippets read, {len(found) - len(rows)} of them unusable")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demonstrations.jsonl").open("w", encoding="utf-8") as file:
        for row in rows[:DEMONSTRATIONS]:
            file.write(json.dumps({"messages": messages(PROMPT.answered(row.text))}) + "\n")
    rest = rows[DEMONSTRATIONS : DEMONSTRATIONS + 2 * COMPARISONS]
    with (folder / "comparisons.jsonl").open("w", encoding="utf-8") as file:
        for made in derived_comparisons(rest, prompt=PROMPT):
            line = {
                "prompt": messages(PROMPT),
                "responses": made.responses,
                "tiers": made.tiers,
                "label": made.label,
                "source": made.source,
            }
            file.write(json.dumps(line) + "\n")


def messages(conversation: Conversation) -> list[dict[str, str]]:
    """A conversation as the rows of a file have it."""
    return [{"role": m.role, "content": m.content} for m in conversation.messages]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    main(**vars(parser.parse_args()))
