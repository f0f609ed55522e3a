"""The film sets in a workspace: there or not, and made as it is asked now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from accord.collect.rated import data_digest
from accord.core.types import Conversation, Demonstration
from accord.pipeline.films import SETS, FilmSets, Found, bring_films, find_films
from accord.pipeline.workspace import Workspace
from accord.store.datasets import Dataset, write_dataset
from tests.collect.samples import archive

WANTED = FilmSets(
    asked="Review a film.",
    system="Critic.",
    demonstrations=40,
    best=10,
    reward_texts=60,
    test_pairs=20,
    raters=30,
)


def reviews(place: Path, count: int = 600) -> Path:
    place.mkdir(exist_ok=True)
    words = ("dull", "grand", "slow", "kind", "loud")
    rows = [
        f"{n}\t0\tFilm number {n} is {words[n % 5]} and rather {words[n % 3]}\n"
        for n in range(count)
    ]
    rated = [f"{n}\t0\t0\t{[(n * k) % 9 - 4 for k in range(1, 11)]}\n" for n in range(count)]
    return archive(place, "".join(rows).encode(), "".join(rated).encode())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws", "films")


def test_sets_are_known_by_their_sizes_words_and_data(workspace: Workspace, tmp_path: Path) -> None:
    first = reviews(tmp_path / "first")
    data = data_digest(first)
    assert find_films(workspace, WANTED, data=data) is Found.MISSING
    made = bring_films(workspace, first, WANTED, sha256=data)
    assert sorted(made) == sorted(f"{kind}/{name}" for name, kind in SETS)
    assert find_films(workspace, WANTED, data=data) is Found.SAME
    for changed in (
        replace(WANTED, best=12),
        replace(WANTED, raters=31),
        replace(WANTED, asked="Say something of a film."),
        replace(WANTED, seed=1),
    ):
        assert find_films(workspace, changed, data=data) is Found.OTHER
    other = reviews(tmp_path / "other", count=601)
    assert find_films(workspace, WANTED, data=data_digest(other)) is Found.OTHER
    raters = workspace.dataset("ratings", "films-raters")
    bring_films(workspace, first, replace(WANTED, best=12), sha256=data)
    assert find_films(workspace, replace(WANTED, best=12), data=data) is Found.SAME
    assert find_films(workspace, WANTED, data=data) is Found.OTHER
    best = Dataset(workspace.dataset("demonstrations", "films-best").folder)
    assert best.manifest.rows == 12
    # The same rows are the same input of a stage, however the others were made.
    assert workspace.dataset("ratings", "films-raters").key == raters.key
    (workspace.root / "data" / "films-best.json").unlink()
    assert find_films(workspace, replace(WANTED, best=12), data=data) is Found.MISSING


def test_a_set_that_somebody_put_in_its_place_is_theirs(
    workspace: Workspace, tmp_path: Path
) -> None:
    found = reviews(tmp_path / "first")
    bring_films(workspace, found, WANTED, sha256=None)
    folder = workspace.artifacts / "own"
    rows = [Demonstration(conversation=Conversation.of("Review a film.").answered("Fine."))]
    manifest = write_dataset(folder, rows, kind="demonstrations", source="mine")
    workspace.point("films-best", {"demonstrations": (folder, manifest.digest)})
    assert find_films(workspace, WANTED, data=data_digest(found)) is Found.SAME
