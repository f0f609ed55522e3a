"""What is wrong with training rows before any model sees them: the stop token, doubled tokens, the
pad, the template, and what does not fit.

Answers the complaints that cost most: endless answers after a run whose loss fell, and reward
models that read a pad. Each function takes what it looks at and nothing else. Loads no torch, but
for the check of pads, which runs what training runs.

Shape letters:  B = rows; T = slots of the longest row; N = real tokens; M = targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from accord.pipeline.doctor.check import Check, Finding, failed, passed
from accord.pipeline.doctor.patient import Example, Patient, Sieved
from accord.pipeline.stages.unusable import Why
from accord.text.template import ChatTemplate

LOST = 0.5
"""Share of rows that may be left out for their length. Beyond it the rest is another data set: the
short rows of this one."""
SAID = 0.05
"""Share of rows that may say the stop token and be left out for it. `</s>` stands in web pages; in
more than a few rows it says that the texts have a template in them already."""
SHOWN = 60
"""Characters of a row that a finding quotes."""


def stop_is_trained(examples: Sequence[Example], stop_id: int) -> Finding:
    """Each assistant turn of each row has its stop token, and it is trained."""
    wrong = [one for one in examples if _stops(one, stop_id) < one.turns]
    turns = sum(one.turns for one in examples)
    if wrong:
        return failed(
            f"{len(wrong)} of {len(examples)} rows leave a stop token untrained, the first: "
            f"{_quoted(wrong[0])}",
            do="print the stop token inside {% generation %} blocks of the chat template: a model "
            "that is not trained to stop goes on until the limit",
            rows=len(wrong),
        )
    return passed(f"{turns} of {turns} in {len(examples)} rows", turns=turns)


def nothing_is_doubled(examples: Sequence[Example], stop_id: int, bos_id: int | None) -> Finding:
    """No row ends a turn twice, and none begins twice or again inside an answer."""
    ends = [one for one in examples if _twice(one, stop_id) or _stops(one, stop_id) > one.turns]
    begins = [] if bos_id in (None, stop_id) else [one for one in examples if _begun(one, bos_id)]
    for what, wrong in (("stop", ends), ("BOS", begins)):
        if wrong:
            return failed(
                f"{len(wrong)} of {len(examples)} rows have a second {what} token, the first: "
                f"{_quoted(wrong[0])}",
                do="let the chat template print it once, and take it out of the texts",
                rows=len(wrong),
            )
    return passed(f"none in {len(examples)} rows")


def pad_is_no_end(examples: Sequence[Example], pad_id: int | None, stop_id: int) -> Finding:
    """Padded on either side, rows keep their tokens, their targets and the place of their end."""
    import torch

    from accord.models.ragged import Ragged

    rows = [one.tokens for one in examples]
    batch = Ragged.of(rows)
    for side in ("right", "left"):
        ids_BT, _, real_BT = batch.padded(side)
        if not torch.equal(ids_BT[real_BT], batch.ids_N):
            return failed(
                f"padded on the {side}, a batch has other tokens than its rows",
                do="report this: pads stand where tokens should",
            )
    lasts = batch.ids_N[batch.last_rows_B].tolist()
    unread = sum(last != row.ids[-1] for last, row in zip(lasts, rows, strict=True))
    unheard = sum(
        one.turns > list(part).count(stop_id)
        for one, part in zip(examples, batch.targets_M.split(list(batch.counts)), strict=True)
    )
    same = pad_id == stop_id
    if unread or unheard:
        return failed(
            f"of {len(rows)} rows {unheard} lose their stop token and {unread} end elsewhere"
            + (": the pad is the stop token" if same else ""),
            do="mask by place and never by id; give the tokenizer a pad token of its own",
            rows=unread + unheard,
        )
    told = "the pad is the stop token, and rows" if same else "rows"
    return passed(f"{told} keep their ends on either side")


def round_trip(template: ChatTemplate, examples: Sequence[Example]) -> Finding:
    """What is trained is what is rendered, and a sampler is asked what a trainer learnt from."""
    for one in examples:
        ids = list(one.tokens.ids)
        if one.prompt is None:
            continue
        trained = template.tokenize_answer(one.prompt, one.answer)
        asked = template.prompt_ids(one.prompt)
        said = list(trained.ids)
        begun = trained.mask.index(True) if True in trained.mask else len(said)
        if said[:begun] != asked:
            return failed(
                f"the sampler is asked something else than is trained: {_quoted(one)}",
                do="let the chat template open the assistant's turn as it prints it",
            )
        read = template.answer_text(said[begun:])
        if read not in (one.answer, one.answer.strip()):  # some templates trim
            return failed(
                f"an answer comes back as another one: {read[:SHOWN]!r}, was "
                f"{one.answer[:SHOWN]!r}",
                do="use a tokenizer that gives back the text that it was given",
            )
        if ids[: len(said)] != said[: len(ids)]:
            return failed(
                f"a row is other tokens than its prompt and answer: {_quoted(one)}",
                do="use a template that prints a turn the same way wherever it stands",
            )
    return passed(f"{len(examples)} rows come back as they were")


def stop_is_not_said(found: Sieved, stop: str) -> Finding:
    """Hardly a row says the stop token in its own text."""
    said, rows = found.counts.get(Why.SAYS_STOP, 0), found.rows
    if said > SAID * rows:
        return failed(
            f"{said} of {rows} drawn rows say {stop}: their texts have a template in them already",
            do="import plain texts or messages: the model's own template prints its tokens",
            share=said / rows,
        )
    return passed(f"{said} of {rows} drawn rows", share=said / rows)


def rows_fit(found: Sieved, what: str, answer_tokens: int | None = None) -> Finding:
    """Most rows fit; how many do not is told. `what` is a row of the stage; of a prompt, which
    shares the context with an answer, `answer_tokens` is that answer's longest."""
    lost, rows = found.counts.get(Why.TOO_LONG, 0), found.rows
    share = lost / rows
    do = "raise the stage's max_tokens as far as the model's context, or shorten the rows"
    if answer_tokens is not None:
        do = (
            f"import shorter prompts, or lower max_tokens = {answer_tokens}: prompt and answer "
            "share the model's context"
        )
    if sum(found.counts.values()) == rows:
        verb = "trained on" if answer_tokens is None else "answered"
        return failed(f"no {what} can be {verb}: {found.told}", do=do, share=share)
    told = f"{lost} of {rows} drawn rows exceed {found.limit} tokens"
    if lost > LOST * rows:
        return failed(f"{told} and would be left out", do=do, share=share)
    return passed(told, share=share)


def _stops(one: Example, stop_id: int) -> int:
    """Stop tokens of a row that are trained. The first token of a row never can be."""
    trained = zip(one.tokens.ids[1:], one.tokens.mask[1:], strict=True)
    return sum(token == stop_id and inside for token, inside in trained)


def _twice(one: Example, token: int) -> bool:
    return any(first == second == token for first, second in pairwise(one.tokens.ids))


def _begun(one: Example, bos_id: int | None) -> bool:
    inside = zip(one.tokens.ids, one.tokens.mask, strict=True)
    return _twice(one, bos_id or 0) or any(t == bos_id and trained for t, trained in inside)


def _quoted(one: Example) -> str:
    return repr(one.answer[:SHOWN])


def _loads(patient: Patient) -> Finding:
    template = patient.template
    return passed(f"an answer ends with {template.stop}")


def _pads(patient: Patient) -> Finding:
    tokenizer = patient.template.tokenizer
    pad = tokenizer.special.get("pad_token")
    pad_id = None if pad is None else tokenizer.id_of(pad)
    return pad_is_no_end(patient.examples, pad_id, patient.template.stop_id)


def _doubled(patient: Patient) -> Finding:
    tokenizer = patient.template.tokenizer
    bos_id = None if tokenizer.bos_token is None else tokenizer.id_of(tokenizer.bos_token)
    return nothing_is_doubled(patient.examples, patient.template.stop_id, bos_id)


def _said(patient: Patient) -> Finding:
    return stop_is_not_said(patient.left_out, patient.template.stop)


def _fit(patient: Patient) -> Finding:
    samples = patient.reads == "prompts"
    what = patient.reads.removesuffix("s")
    return rows_fit(patient.left_out, what, patient.answer_tokens if samples else None)


CHECKS = (
    Check(
        "chat template",
        "The template can be run, opens an answer for a sampler and ends it with one stop token.",
        _loads,
    ),
    Check(
        "stop token trained",
        "The stop token of every assistant turn is among the trained tokens.",
        lambda patient: stop_is_trained(patient.examples, patient.template.stop_id),
    ),
    Check(
        "nothing doubled",
        "No row has two BOS or two stop tokens where one belongs.",
        _doubled,
    ),
    Check(
        "pad is no end",
        "Pads are neither trained nor read as the end, also where pad and stop token are the same.",
        _pads,
    ),
    Check(
        "round trip",
        "Prompt and answer come back from their tokens, and a sampler gets the trained prompt.",
        lambda patient: round_trip(patient.template, patient.examples),
    ),
    Check(
        "stop token not said",
        "Texts do not bring a stop token of their own.",
        _said,
    ),
    Check(
        "rows fit",
        "Most rows fit the stage's limit and the model's context.",
        _fit,
    ),
)
