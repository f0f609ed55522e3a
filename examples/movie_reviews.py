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
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

DEMONSTRATIONS = 1000
COMPARISONS = 2500
PROMPT = [
    {"role": "system", "content": "You review films."},
    {"role": "user", "content": "Write one sentence of a film review."},
]


def snippets(archive: Path) -> Iterator[tuple[str, list[int]]]:
    """Text and ratings of every snippet that has both."""
    with tarfile.open(archive) as outer:
        inner = next(n for n in outer.getnames() if n.endswith("hutto_ICWSM_2014.tar.gz"))
        packed = outer.extractfile(inner)
        assert packed is not None
        with tarfile.open(fileobj=io.BytesIO(packed.read())) as files:
            texts = _lines(files, "movieReviewSnippets_GroundTruth.txt")
            ratings = _lines(files, "movieReviewSnippets_anonDataRatings.txt")
    rated = {line[0]: json.loads(line[3]) for line in ratings}
    for line in texts:
        if line[0] in rated and line[2].strip():
            yield line[2].strip(), rated[line[0]]


def soft_label(first: list[int], second: list[int]) -> float:
    """P(first rated above second) + P(equal) / 2 over all pairs of ratings."""
    pairs = [(a, b) for a in first for b in second]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def main(archive: Path, folder: Path) -> None:
    """Write demonstrations.jsonl and comparisons.jsonl, of different snippets."""
    rows = sorted(snippets(archive))
    random.Random(0).shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demonstrations.jsonl").open("w", encoding="utf-8") as file:
        for text, _ in rows[:DEMONSTRATIONS]:
            messages = [*PROMPT, {"role": "assistant", "content": text}]
            file.write(json.dumps({"messages": messages}) + "\n")
    rest = rows[DEMONSTRATIONS : DEMONSTRATIONS + 2 * COMPARISONS]
    with (folder / "comparisons.jsonl").open("w", encoding="utf-8") as file:
        for (a, ratings_a), (b, ratings_b) in zip(rest[::2], rest[1::2], strict=True):
            label = soft_label(ratings_a, ratings_b)
            tiers = [0, 0] if label == 0.5 else [0, 1] if label > 0.5 else [1, 0]
            row = {
                "prompt": PROMPT,
                "responses": [a, b],
                "tiers": tiers,
                "label": label,
                "source": "derived from vaderSentiment ratings",
            }
            file.write(json.dumps(row) + "\n")


def _lines(files: tarfile.TarFile, name: str) -> list[list[str]]:
    member = next(m for m in files.getmembers() if m.name.endswith(name))
    opened = files.extractfile(member)
    assert opened is not None
    text = opened.read().decode("utf-8", errors="replace")
    return [line.split("\t") for line in text.splitlines() if line.count("\t") >= 2]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    main(**vars(parser.parse_args()))
