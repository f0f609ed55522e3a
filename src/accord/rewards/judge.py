"""A judge of texts, taught by what people gave texts alone, that is not taken in by heaped praise.

A text is graded

    grade = written * rating + (1 - written) * lowest

with `rating` what people would give it (ridge regression of the frozen model's mean hidden state),
`lowest` the worst that people gave anything, and `written` the probability that somebody wrote it.
That is a product of two logistic models, so that a text has to get past both: one knows the state
and the signs below, the other the signs alone; it is the one that sees tricks it was never shown.
The judge reads a text by itself, whatever it answers: the same words get the same grade.

Shape letters:  I = texts;  D = hidden size;  S = signs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import expit

from accord.core.errors import DataError, ModelError
from accord.core.hashing import file_digest
from accord.core.types import Conversation
from accord.models.backbone import Backbone
from accord.models.ragged import Masked
from accord.models.reading import states_and_logprobs
from accord.stats.linear import Linear
from accord.text.made_up import Trick
from accord.text.tokenized import Tokenized
from accord.text.tokenizer import TextTokenizer

Floats = NDArray[np.float64]
LEAD = "\n"
"""What a text is read behind, so that its first token has a log-probability."""
LIKELY, UNLIKELY = -0.5, -8.0
"""Nats above and below which a token is counted as foreseen and as out of the blue."""
REPEATS = (1, 2, 3)
"""Words in a row whose repetition is looked at."""
WEIGHTS_FILE, FACTS_FILE = "judge.safetensors", "judge.json"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Read:
    """What the frozen model made of I texts: all that a judge knows of them."""

    state_ID: NDArray[np.float32]
    """Mean hidden state of the tokens; 0 for a text without any."""
    signs_IS: Floats
    """See `signs`; 0 for a text without tokens."""
    logp_I: Floats
    """Log-probability a token under the frozen model, nats; 0 for a text without tokens."""
    tokens_I: NDArray[np.int64]

    def some(self, wanted: NDArray[np.bool_]) -> Read:
        """The texts at which `wanted` is true."""
        return Read(
            state_ID=self.state_ID[wanted],
            signs_IS=self.signs_IS[wanted],
            logp_I=self.logp_I[wanted],
            tokens_I=self.tokens_I[wanted],
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grades:
    """What a judge says of texts, each `[I]`."""

    grade: Floats
    """In the unit of the ratings."""
    rating: Floats
    """What people would give it, did somebody write it."""
    written: Floats
    """Probability that somebody wrote it."""
    logp_per_token: Floats
    """Under the frozen model, nats; 0 for a text without tokens."""
    tokens: NDArray[np.int64]

    @property
    def doubt(self) -> Floats:
        """Probability that nobody wrote it."""
        return 1 - self.written


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RatingJudge:
    """A `RewardFn` in the unit of the ratings that it was fitted on (`rewards.judge_fit`)."""

    backbone: Backbone
    tokenizer: TextTokenizer
    layers: int
    """How many layers the states are taken after."""
    lowest: float
    """What a text gets that nobody wrote."""
    tricks: tuple[Trick, ...]
    """How the texts were made up that it was shown."""
    rating: Linear
    """The rating, of the state."""
    known: Linear
    """Log-odds that somebody wrote it, of state and signs."""
    shaped: Linear
    """Log-odds that somebody wrote it, of the signs alone."""

    def __call__(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
        """Grade `answers[i]` with what `prompts[i]` opened it with; nothing else of it is read.

        Raises ValueError on different lengths.
        """
        asked = zip(prompts, answers, strict=True)
        texts = [prompt.opening + answer for prompt, answer in asked]
        return [float(grade) for grade in self.grade(texts).grade]

    def grade(self, texts: Sequence[str]) -> Grades:
        """Grade texts, each read by itself. Raises as `grade_rows`."""
        return self.grade_rows([alone(self.tokenizer, text) for text in texts], texts)

    def grade_rows(self, rows: Sequence[Masked], texts: Sequence[str]) -> Grades:
        """Grade texts from tokens whose masks name what is judged: all of `texts[i]`.

        The judge learnt from rows as `alone` makes them; what else stands before a text shifts what
        it says. Raises ValueError on different lengths, ConfigError for a text longer than the
        model's context.
        """
        return self.of(read(self.backbone, rows, texts, layers=self.layers))

    def of(self, known: Read) -> Grades:
        """Grade what was read before."""
        rating = self.rating(known.state_ID)
        both = expit(self.known(np.c_[known.state_ID, known.signs_IS]))
        written = np.where(known.tokens_I > 0, both * expit(self.shaped(known.signs_IS)), 0.0)
        rating = np.where(known.tokens_I > 0, rating, self.lowest)
        return Grades(
            grade=written * rating + (1 - written) * self.lowest,
            rating=rating,
            written=written,
            logp_per_token=known.logp_I,
            tokens=known.tokens_I,
        )

    def save(self, folder: Path) -> str:
        """Write what was fitted; returns the digest of its numbers."""
        tensors = {
            f"{name}.{part}": np.ascontiguousarray(value)
            for name, model in self._parts().items()
            for part, value in (
                ("mean", model.mean_D),
                ("scale", model.scale_D),
                ("weights", model.weights_D),
                ("bias", np.array([model.bias])),
            )
        }
        save_file(tensors, folder / WEIGHTS_FILE)
        facts = {"lowest": self.lowest, "layers": self.layers, "tricks": [*map(str, self.tricks)]}
        facts |= _made_on(self.backbone, self.tokenizer)
        (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
        return file_digest(folder / WEIGHTS_FILE)

    @classmethod
    def load(cls, folder: Path, *, backbone: Backbone, tokenizer: TextTokenizer) -> RatingJudge:
        """Read what `save` wrote.

        Raises ModelError where a file is missing or broken, or was made on another base model or
        with another tokenizer.
        """
        try:
            facts = json.loads((folder / FACTS_FILE).read_text())
            tensors = load_file(folder / WEIGHTS_FILE)
            made = cls(
                backbone=backbone,
                tokenizer=tokenizer,
                layers=int(facts["layers"]),
                lowest=float(facts["lowest"]),
                tricks=tuple(Trick(name) for name in facts["tricks"]),
                **{name: _linear(tensors, name) for name in ("rating", "known", "shaped")},
            )
            on = {name: facts[name] for name in ("base", "tokenizer")}
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError("the judge cannot be read", got=error, where=folder) from error
        for name, here in _made_on(backbone, tokenizer).items():
            if on[name] != here:
                raise ModelError(
                    f"the judge was fitted with another {name}",
                    got=f"{on[name]}, here {here}",
                    where=folder,
                    do="fit it again on this one",
                )
        return made

    def _parts(self) -> dict[str, Linear]:
        return {"rating": self.rating, "known": self.known, "shaped": self.shaped}


def alone(tokenizer: TextTokenizer, text: str) -> Tokenized:
    """A text by itself behind a line break, no chat template around it; the text is masked in."""
    lead, said = tokenizer.encode(LEAD), tokenizer.encode(text)
    return Tokenized.answered(lead, said)


def read(backbone: Backbone, rows: Sequence[Masked], texts: Sequence[str], *, layers: int) -> Read:
    """What the model without adapters makes of `texts`, one pass a micro-batch.

    `rows[i]` are tokens whose mask names those of `texts[i]`; a row that names none is a text
    without tokens. Raises as `RatingJudge.grade_rows`.
    """
    pairs = list(zip(rows, texts, strict=True))
    state = np.zeros((len(pairs), backbone.hidden_size), dtype=np.float32)
    marks, logp = np.zeros((len(pairs), len(signs("", [0.0])))), np.zeros(len(pairs))
    tokens = np.zeros(len(pairs), dtype=np.int64)
    said = [i for i, (row, _) in enumerate(pairs) if any(row.mask)]
    state[said], known = states_and_logprobs(backbone, [rows[i] for i in said], layers=layers)
    for i, logps in zip(said, known, strict=True):
        marks[i], logp[i], tokens[i] = signs(texts[i], logps), logps.mean(), len(logps)
    return Read(state_ID=state, signs_IS=marks, logp_I=logp, tokens_I=tokens)


def signs(text: str, logp: Sequence[float] | NDArray[np.float32]) -> list[float]:
    """Numbers by which a text betrays that nobody wrote it, from its tokens' log-probabilities.

    Of these the mean, standard deviation, tenth and ninetieth percentile, number, share foreseen,
    share out of the blue, and mean of the second half less that of the first; the logarithm of 1 +
    the words; the share of words, of two and of three in a row that were said before.
    """
    nats = np.asarray(logp, dtype=np.float64)
    half = len(nats) // 2
    words = re.findall(r"\w[\w']*", text.lower())
    low, high = np.percentile(nats, [10, 90])
    return [
        float(nats.mean()),
        float(nats.std()),
        float(low),
        float(high),
        float(len(nats)),
        float((nats > LIKELY).mean()),
        float((nats < UNLIKELY).mean()),
        float(nats[half:].mean() - nats[:half].mean()) if half else 0.0,
        float(np.log1p(len(words))),
        *(_repeated(words, size) for size in REPEATS),
    ]


def _repeated(words: Sequence[str], size: int) -> float:
    """Share of the runs of so many words that were met before in the text."""
    runs = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def _made_on(backbone: Backbone, tokenizer: TextTokenizer) -> dict[str, str]:
    return {"base": backbone.digest, "tokenizer": tokenizer.digest}


def _linear(tensors: dict[str, NDArray[np.float64]], name: str) -> Linear:
    mean, scale, weights = (tensors[f"{name}.{part}"] for part in ("mean", "scale", "weights"))
    if not mean.shape == scale.shape == weights.shape or mean.ndim != 1:
        raise DataError(f"the sizes of {name} do not fit together")
    bias = float(tensors[f"{name}.bias"][0])
    return Linear(mean_D=mean, scale_D=scale, weights_D=weights, bias=bias)
