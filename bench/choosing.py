"""Real pairs of responses with a planted truth, for `selection.py`: who wants what, who labels.

The texts are real (HH-RLHF harmless, PandaLM, both whole); the people are not, and what they want
is computed from the words. A cheap reward model sees a response as FEATURES numbers: main
directions of its TF-IDF vector (smoothed, rows of length 1) and three figures of its style. Every
seed draws a truth, held-out pairs, batches of prompts and labels. The same seed gives all methods
the same of each, so that their curves are compared pair by pair.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from accord.collect.features import exclamations, length, list_items
from accord.collect.persona import PersonSettings, Truth
from accord.collect.sheet import Sheet
from accord.collect.synthetic import SimulatedPerson
from accord.core.types import Conversation
from accord.rewards.vader import VaderScore

HH, PANDALM = "HH-RLHF", "PandaLM"
DIRECTIONS = 40
"""Of TF-IDF, that the model sees."""
STYLE = (length, list_items, exclamations)
FEATURES = DIRECTIONS + len(STYLE)
LEAST_TEXTS = 5
"""A word counts where so many responses have it."""
HELD_OUT = 500
BATCH = 400
"""Prompts that a round may choose among."""
ROUNDS = 5
PEOPLE = 5
"""Who label, by turns."""
RARE = 40
"""Prompts of the rare kind in a batch, where one is rare."""
_WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Texts:
    """Pairs of responses and what a model sees of them."""

    prompts: tuple[Conversation, ...]
    responses: tuple[tuple[str, str], ...]
    source: np.ndarray
    """[pairs] `HH` or `PANDALM`."""
    features: np.ndarray
    """[pairs, 2, FEATURES]; differences between two responses have mean square length 1."""
    sentiment: np.ndarray
    """[pairs, 2] of vaderSentiment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One set of circumstances."""

    name: str
    truth: str = "linear"
    """What people want: a key of `TRUTHS`."""
    people: PersonSettings = field(
        default_factory=lambda: PersonSettings(weights={"worth": 1.0}, temperature=0.5, lapse=0.02)
    )
    labels: int = 100
    """In a round, of `BATCH`."""
    rare: bool = False
    """PandaLM's prompts are a tenth of each batch, and both kinds count alike in the end."""

    @property
    def misspecified(self) -> bool:
        """Whether the model cannot express what people want."""
        return self.truth in {"bent", "sentiment"}


_CAREFUL = PersonSettings(weights={"worth": 1.0}, temperature=0.5, lapse=0.02)
ARMS: tuple[Arm, ...] = (
    Arm(name="as assumed"),
    Arm(name="noisy raters", people=replace(_CAREFUL, temperature=1.5, lapse=0.15)),
    Arm(name="close pairs are ties", people=replace(_CAREFUL, grain=1.0)),
    Arm(name="misspecified: too much of a good thing", truth="bent"),
    Arm(name="misspecified: sentiment", truth="sentiment"),
    Arm(name="a rare kind that counts", truth="by kind", rare=True),
    Arm(name="pickier: 1 of 8", labels=50),
    Arm(name="less picky: 1 of 2", labels=200),
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Drawn:
    """What one seed of an arm is: pairs by their number in `Texts`."""

    arm: Arm
    x: np.ndarray
    """[pairs, 2, columns] that the model sees."""
    gap: np.ndarray
    """[pairs] worth of the first response less that of the second; standard deviation 1."""
    label: np.ndarray
    """[pairs] share of the label that the first has: 1, 0, or .5 where it is a tie."""
    source: np.ndarray
    batches: tuple[np.ndarray, ...]
    held: np.ndarray
    seed: int


def read_texts(folder: Path) -> Texts:
    """All pairs of the two sets whose responses differ, and their features."""
    pairs = [(HH, *pair) for name in ("train", "dev") for pair in _harmless(folder, name)]
    pairs += [(PANDALM, *pair) for pair in _pandalm(folder)]
    pairs = [pair for pair in pairs if pair[2] != pair[3]]
    prompts = tuple(Conversation.of(prompt) for _, prompt, _, _ in pairs)
    responses = tuple((one, other) for _, _, one, other in pairs)
    flat = [text for both in responses for text in both]
    vader = VaderScore()
    return Texts(
        prompts=prompts,
        responses=responses,
        source=np.array([source for source, *_ in pairs]),
        features=_seen(prompts, flat).reshape(len(pairs), 2, FEATURES),
        sentiment=np.array(vader([prompts[0]] * len(flat), flat)).reshape(-1, 2),
    )


def _harmless(folder: Path, name: str) -> list[tuple[str, str, str]]:
    with gzip.open(folder / "hh_harmless" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    marker = "\n\nAssistant:"
    found = []
    for row in rows:
        prompt, _, chosen = row["chosen"].rpartition(marker)
        found.append((prompt, chosen, row["rejected"].rpartition(marker)[2]))
    return found


def _pandalm(folder: Path) -> list[tuple[str, str, str]]:
    lines = (folder / "pandalm" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(f"{r['instruction']}\n{r['input']}", r["response1"], r["response2"]) for r in rows]


def _seen(prompts: tuple[Conversation, ...], flat: list[str]) -> np.ndarray:
    """[responses, FEATURES] with the spectrum that TF-IDF has; a figure of style varies as much as
    the first direction."""
    main = directions(flat, DIRECTIONS)
    sheet = Sheet(task="features", prompt=prompts[0], responses=tuple(flat))
    style = np.log1p(np.array([values(sheet) for values in STYLE]).T)
    style = (style - style.mean(axis=0)) / style.std(axis=0) * main.std(axis=0).max()
    seen = np.hstack([main, style])
    apart = seen[0::2] - seen[1::2]
    return np.asarray(seen / np.sqrt((apart**2).sum(axis=1).mean()))


def directions(texts: list[str], k: int) -> np.ndarray:
    """[texts, k] projections of TF-IDF rows on their k main directions, the largest first."""
    counts = [Counter(_WORD.findall(text.lower())) for text in texts]
    having = Counter(word for count in counts for word in count)
    words = sorted(word for word, n in having.items() if n >= LEAST_TEXTS)
    column = {word: j for j, word in enumerate(words)}
    idf = {word: np.log((1 + len(texts)) / (1 + having[word])) + 1 for word in words}
    places = [
        (i, column[w], n * idf[w]) for i, c in enumerate(counts) for w, n in c.items() if w in idf
    ]
    rows, columns, values = (np.array(side) for side in zip(*places, strict=True))
    length = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(texts)))
    matrix = csr_matrix((values / length[rows], (rows, columns)), shape=(len(texts), len(words)))
    start = np.ones(min(matrix.shape))
    left, size, _ = svds(matrix, k=k, v0=start)
    order = np.argsort(-size)
    return np.asarray(left[:, order] * size[order])


# ---- what people want ----------------------------------------------------------------------------


def linear(texts: Texts, rng: np.random.Generator) -> np.ndarray:
    """A weight for each of the model's features: the model can express it."""
    return np.asarray(texts.features @ rng.normal(size=FEATURES))


def bent(texts: Texts, rng: np.random.Generator) -> np.ndarray:
    """More of each feature is better up to a point, then worse: w (z - (z^2 - 1) / sqrt 2), z the
    feature in standard deviations, at most 3. A model that is linear cannot say so."""
    flat = texts.features.reshape(-1, FEATURES)
    spread = flat.std(axis=0)
    z = np.clip((texts.features - flat.mean(axis=0)) / spread, -3, 3)
    return np.asarray((z - (z**2 - 1) / np.sqrt(2)) @ (spread * rng.normal(size=FEATURES)))


def sentiment(texts: Texts, rng: np.random.Generator) -> np.ndarray:
    """VADER's score: from a lexicon of words, with negation and emphasis, cut to [-1, 1]."""
    return texts.sentiment


def by_kind(texts: Texts, rng: np.random.Generator) -> np.ndarray:
    """Linear, with weights of each kind of prompt that have a correlation of .5."""
    shared, own, other = rng.normal(size=(3, FEATURES)) * np.sqrt(0.5)
    hh = texts.features @ (shared + own)
    return np.asarray(
        np.where((texts.source == HH)[:, None], hh, texts.features @ (shared + other))
    )


TRUTHS: Mapping[str, Callable[[Texts, np.random.Generator], np.ndarray]] = {
    "linear": linear,
    "bent": bent,
    "sentiment": sentiment,
    "by kind": by_kind,
}
"""[pairs, 2] worth of each response."""


def draw(texts: Texts, arm: Arm, seed: int) -> Drawn:
    """Everything that chance decides but the choice itself."""
    rng = np.random.default_rng(seed)
    worth = TRUTHS[arm.truth](texts, rng)
    worth = worth / (worth[:, 0] - worth[:, 1]).std()
    batches, held = _split(texts.source, arm, rng)
    asked = np.concatenate(batches)
    label = np.full(len(worth), np.nan)
    label[asked] = _labels(texts, worth, asked, arm.people, seed, rng)
    x = texts.features
    if arm.rare:
        x = np.concatenate([x, x * (texts.source == PANDALM)[:, None, None]], axis=2)
    return Drawn(
        arm=arm,
        x=x,
        gap=worth[:, 0] - worth[:, 1],
        label=label,
        source=texts.source,
        batches=batches,
        held=held,
        seed=seed,
    )


def _split(
    source: np.ndarray, arm: Arm, rng: np.random.Generator
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Held-out pairs, and batches of others; no pair is in two."""
    order = rng.permutation(len(source))
    if not arm.rare:
        held, rest = order[:HELD_OUT], order[HELD_OUT:]
        return tuple(rest[k * BATCH : (k + 1) * BATCH] for k in range(ROUNDS)), held
    kinds = [order[source[order] == kind] for kind in (HH, PANDALM)]
    half = HELD_OUT // 2
    held = np.concatenate([kind[:half] for kind in kinds])
    usual, rare = (kind[half:] for kind in kinds)
    most = (len(usual) // ROUNDS) // 9 * 9
    few = min(RARE, most // 9)
    size = few * 9
    return tuple(
        np.concatenate([usual[k * size : (k + 1) * size], rare[k * few : (k + 1) * few]])
        for k in range(ROUNDS)
    ), held


def _labels(
    texts: Texts,
    worth: np.ndarray,
    asked: np.ndarray,
    settings: PersonSettings,
    seed: int,
    rng: np.random.Generator,
) -> list[float]:
    """What people say of the pairs, each shown in an order of its own."""
    table = {
        (texts.prompts[i].digest, texts.responses[i][k]): float(worth[i, k])
        for i in asked
        for k in (0, 1)
    }
    truth = Truth(name="worth", score=lambda prompt, text: table[prompt.digest, text])
    people = [
        SimulatedPerson(settings=replace(settings, seed=seed * PEOPLE + who), truths=(truth,))
        for who in range(PEOPLE)
    ]
    found = []
    for place, i in enumerate(asked):
        turned = bool(rng.random() < 0.5)
        one, other = texts.responses[i]
        shown = (other, one) if turned else (one, other)
        sheet = Sheet(task=f"t{i}", prompt=texts.prompts[i], responses=shown, criteria=())
        tiers = people[place % PEOPLE].judge(sheet).tiers
        assert tiers is not None  # a simulated person never skips
        lead = np.sign(tiers[1] - tiers[0]) * (-1 if turned else 1)
        found.append(float((1 + lead) / 2))
    return found
