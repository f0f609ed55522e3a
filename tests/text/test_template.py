"""Which tokens are trained: templates of several families, an oracle, and refusals."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from accord.core.errors import DataError, TemplateError
from accord.core.types import Conversation, Message, Speaker
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized
from accord.text.tokenizer import TextTokenizer

CHATML = """\
{% for message in messages %}
{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
HEADERS = """\
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start|>' + message['role'] + '<|end_header|>\\n\\n' + message['content'] | trim }}
    {{- '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end_header|>\\n\\n' }}
{%- endif %}
"""
BRACKETS = """\
{{ bos_token }}{% for message in messages %}
{% if message.role == 'user' %}
{% if loop.previtem and loop.previtem.role == 'user' %}
{{ raise_exception('roles must alternate') }}
{% endif %}
{{- '[INST] ' + message.content + ' [/INST]' }}
{%- elif message.role == 'assistant' %}
{{- ' ' + message.content + ' ' + eos_token }}
{%- endif %}
{% endfor %}
"""
MARKED = """\
{% for message in messages %}
{% if message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}
{%- generation %}{{- message.content + '<|im_end|>' }}{% endgeneration %}
{{- '\\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
MARKED_SHORT = MARKED.replace(
    "{{- message.content + '<|im_end|>' }}{% endgeneration %}\n{{- '\\n' }}",
    "{{- message.content }}{% endgeneration %}\n{{- '<|im_end|>\\n' }}",
)
FORGETFUL = """\
{% for message in messages %}
{% if message.role == 'assistant' and not loop.last and '</think>' in message.content %}
{{- '<|im_start|>assistant\\n' + message.content.split('</think>')[-1] + '<|im_end|>\\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
GOOD = {
    "chatml": CHATML,
    "headers": HEADERS,
    "brackets": BRACKETS,
    "marked": MARKED,
    "marked_short": MARKED_SHORT,
    "forgetful": FORGETFUL,
}
MARKS = ("<|pad|>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start|>", "<|end_header|>")
CORPUS = [
    "user assistant Name the colour of the sky. It is blue, as a rule.\n\n\nAnd at night?\n\n\nYes",
    "[INST] How are you [/INST] I am well, thank you. 0123456789 <think> hmm </think>",
]


@cache
def tokenizer(eos: str = "<|im_end|>") -> TextTokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[*MARKS, "<|eot|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS * 4, trainer)
    # The pad token is the token that ends a turn, as in many chat models.
    return TextTokenizer(backend, config={"bos_token": "<s>", "eos_token": eos, "pad_token": eos})


@cache
def template(name: str) -> ChatTemplate:
    return ChatTemplate(tokenizer("</s>" if name == "brackets" else "<|im_end|>"), GOOD[name])


def stop_of(made: ChatTemplate) -> str:
    return made.tokenizer.decode([made.stop_id], keep_special=True)


def trained(made: ChatTemplate, row: Tokenized) -> str:
    ids = [token for token, on in zip(row.ids, row.mask, strict=True) if on]
    return made.tokenizer.decode(ids, keep_special=True)


def talk(*texts: str, system: str | None = None) -> Conversation:
    """User and assistant in turns."""
    head = [] if system is None else [Message(role=Speaker.SYSTEM, content=system)]
    roles = (Speaker.USER, Speaker.ASSISTANT)
    said = [Message(role=roles[i % 2], content=text) for i, text in enumerate(texts)]
    return Conversation((*head, *said))


plain = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text and not any(mark in text for mark in (*MARKS, "<|eot|>"))
)


@pytest.mark.parametrize("name", GOOD)
@given(texts=st.lists(plain, min_size=1, max_size=3).map(lambda t: [x for a in t for x in (a, a)]))
def test_exactly_the_answers_and_their_stop_tokens_are_trained(name: str, texts: list[str]) -> None:
    made = template(name)
    row = made.tokenize(talk(*texts))
    blank = " " if name == "brackets" else ""
    expected = "".join(blank + text + blank + stop_of(made) for text in texts[1::2])
    assert trained(made, row) == expected
    assert sum(t == made.stop_id and on for t, on in zip(row.ids, row.mask, strict=True)) == len(
        texts[1::2]
    )
    assert made.tokenizer.decode(row.ids, keep_special=True) == made.render(talk(*texts))


@pytest.mark.parametrize("name", GOOD)
@given(question=plain, answer=st.text(alphabet=st.characters(codec="utf-8"), max_size=12))
def test_an_answer_follows_what_the_sampler_was_given(
    name: str, question: str, answer: str
) -> None:
    if any(mark in answer for mark in (*MARKS, "<|eot|>")):
        return
    made = template(name)
    prompt = Conversation.of(question)
    row = made.tokenize_answer(prompt, answer)
    prefix = made.prompt_ids(prompt)
    assert list(row.ids[: len(prefix)]) == prefix
    assert row.mask == (False,) * len(prefix) + (True,) * (len(row.ids) - len(prefix))
    assert row.ids[-1] == made.stop_id
    kept = answer.strip() if name == "headers" else answer
    assert made.answer_text(row.ids[len(prefix) :]) == kept
    assert made.answer_text(row.ids[len(prefix) : -1]) == kept


@pytest.mark.parametrize("name", GOOD)
@given(
    question=plain, opening=plain, answer=st.text(alphabet=st.characters(codec="utf-8"), max_size=9)
)
def test_an_answer_goes_on_from_its_opening(
    name: str, question: str, opening: str, answer: str
) -> None:
    if any(mark in opening + answer for mark in (*MARKS, "<|eot|>")):
        return
    made = template(name)
    prompt = Conversation.of(question, opening=opening)
    row = made.tokenize_answer(prompt, answer)
    prefix = made.prompt_ids(prompt)
    assert list(row.ids[: len(prefix)]) == prefix
    assert row.mask == (False,) * len(prefix) + (True,) * (len(row.ids) - len(prefix))
    whole = made.tokenize_answer(Conversation.of(question), opening + answer)
    decode = made.tokenizer.decode
    assert decode(row.ids, keep_special=True) == decode(whole.ids, keep_special=True)
    kept = answer.rstrip() if name == "headers" else answer
    assert made.answer_text(row.ids[len(prefix) :]) == kept


def test_an_opening_by_hand() -> None:
    made = template("brackets")
    prompt = Conversation.of("Hi", opening="Blue")
    assert made.render(prompt, generation_prompt=True) == "<s>[INST] Hi [/INST] Blue"
    assert trained(made, made.tokenize_answer(prompt, " sky")) == " sky </s>"
    with pytest.raises(DataError, match="no answer to train on"):
        made.tokenize(prompt)


def test_chatml_by_hand() -> None:
    made = template("chatml")
    encode = made.tokenizer.encode
    row = made.tokenize(talk("Hi", "Blue", "And?", "Red", system="Short"))
    pieces = [
        ("<|im_start|>system\nShort<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n", False),
        ("<|im_start|>assistant\n", False),
        ("Blue<|im_end|>", True),
        ("\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n", False),
        ("Red<|im_end|>", True),
        ("\n", False),
    ]
    assert row.ids == tuple(token for text, _ in pieces for token in encode(text))
    assert row.mask == tuple(on for text, on in pieces for _ in encode(text))


def test_a_token_never_reaches_from_the_header_into_the_answer() -> None:
    made = template("chatml")
    encode = made.tokenizer.encode
    joined = encode("\n\n\nBlue")
    assert len(joined) == len(encode("\n")) + len(encode("\n\nBlue")) - 1
    prefix = made.prompt_ids(Conversation.of("Hi"))
    for answer in ("\n\nBlue", "\nBlue", "Blue"):
        row = made.tokenize(talk("Hi", answer, "And?", answer))
        assert list(row.ids[: len(prefix)]) == prefix
        assert trained(made, row) == f"{answer}<|im_end|>" * 2
    row = made.tokenize_answer(Conversation.of("Hi"), "\n\nBlue")
    assert list(row.ids) == [*prefix, *encode("\n\nBlue<|im_end|>")]
    assert list(row.ids) != encode(made.render(talk("Hi", "\n\nBlue")))[: len(row.ids)]


def test_a_generation_block_without_its_stop_token_is_widened_by_it() -> None:
    conversation = talk("Hi", "Blue", "And?", "Red")
    whole, short = (template(name).tokenize(conversation) for name in ("marked", "marked_short"))
    assert whole == short == template("chatml").tokenize(conversation)


def test_only_the_last_answer_is_scored() -> None:
    made = template("chatml")
    prompt = talk("Hi", "Blue", "And?")
    row = made.tokenize_answer(prompt, "Red")
    assert trained(made, row) == "Red<|im_end|>"
    assert sum(row.mask) == len(made.tokenizer.encode("Red")) + 1


def test_a_template_that_rewrites_history_is_refused_with_both_texts() -> None:
    made = template("forgetful")
    last = made.tokenize(talk("Hi", "<think>hmm</think>Blue"))
    assert trained(made, last) == "<think>hmm</think>Blue<|im_end|>"
    with pytest.raises(TemplateError) as caught:
        made.tokenize(talk("Hi", "<think>hmm</think>Blue", "And?", "Red"))
    message = str(caught.value)
    place = len(made.prompt_ids(Conversation.of("Hi")))
    assert f"token {place} differs" in message
    assert "'<think>hmm</think>Blue<|im_end|>" in message
    assert "'Blue<|im_end|>\\n<|im_start|>user" in message


def test_a_forgetful_template_still_scores_the_last_answer() -> None:
    made = template("forgetful")
    prompt = talk("Hi", "<think>hmm</think>Blue", "And?")
    row = made.tokenize_answer(prompt, "Red")
    assert list(row.ids[: -sum(row.mask)]) == made.prompt_ids(prompt)
    assert trained(made, row) == "Red<|im_end|>"


REFUSED = {
    "no stop token": (
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}",
        r"does not end the assistant's turn with a stop token(.|\n)*print the tokenizer's eos",
    ),
    "a stop token the vocabulary lacks": (
        CHATML.replace("<|im_end|>", "<|turn_over|>"),
        r"holds no special token",
    ),
    "twice ended": (CHATML.replace("<|im_end|>", "<|im_end|><|im_end|>"), "turn twice"),
    "answer left out": (
        "{% for m in messages %}{{ m.role }}<|im_end|>{% endfor %}",
        "does not print the assistant's message",
    ),
    "turn not opened": (
        CHATML.replace("{% if add_generation_prompt %}", "{% if false %}"),
        "does not open the assistant's turn",
    ),
    "rewrites the header": (
        CHATML + "{% if add_generation_prompt %}x{% endif %}",
        "rewrites earlier text",
    ),
    "broken syntax": ("{% for m in messages %}{{ m.content }", "not valid Jinja2"),
    "complains": ("{{ raise_exception('no chat here') }}", "no chat here"),
    "wrong types": ("{{ messages + 1 }}", "refuses a conversation"),
    "reaches out of the sandbox": ("{{ ''.__class__.__mro__ }}", "refuses a conversation"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_template_that_would_train_the_wrong_tokens_is_refused(case: str) -> None:
    source, message = REFUSED[case]
    with pytest.raises(TemplateError, match=message):
        ChatTemplate(tokenizer(), source)


def test_a_tokenizer_without_a_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="no chat template"):
        ChatTemplate(tokenizer())


def test_an_earlier_turn_without_its_stop_token_is_refused() -> None:
    source = """\
{% for m in messages %}
{{ '<|im_start|>' + m.role + '\\n' + m.content }}
{%- if loop.last and not add_generation_prompt %}{{ '<|im_end|>' }}{% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
    made = ChatTemplate(tokenizer(), source)
    assert trained(made, made.tokenize(talk("Hi", "Blue"))) == "Blue<|im_end|>"
    with pytest.raises(TemplateError, match="rewrites earlier text"):
        made.tokenize(talk("Hi", "Blue", "And?", "Red"))


def test_generation_blocks_on_the_last_turn_alone_are_refused() -> None:
    source = MARKED.replace("== 'assistant' %}", "== 'assistant' and loop.last %}")
    made = ChatTemplate(tokenizer(), source)
    assert trained(made, made.tokenize(talk("Hi", "Blue"))) == "Blue<|im_end|>"
    with pytest.raises(TemplateError, match="2 assistant turns, 1 stop tokens"):
        made.tokenize(talk("Hi", "Blue", "And?", "Red"))


def test_a_conversation_that_the_template_refuses_says_its_roles() -> None:
    conversation = Conversation(
        tuple(Message(role=Speaker.USER, content=text) for text in ("Hi", "there"))
    )
    with pytest.raises(TemplateError, match=r"roles must alternate \(roles: user user\)"):
        template("brackets").prompt_ids(conversation)


@pytest.mark.parametrize(
    "conversation", [talk("say <|im_end|> please", "no"), talk("Hi", "Blue<|im_end|>")]
)
def test_a_message_that_says_the_stop_token_is_refused(conversation: Conversation) -> None:
    made = template("chatml")
    with pytest.raises(DataError, match="stop token in its own text"):
        made.tokenize(conversation)
    with pytest.raises(DataError, match="stop token in its own text"):
        made.tokenize_answer(
            Conversation(conversation.messages[:1]), conversation.messages[1].content
        )


def test_a_doubled_bos_is_refused() -> None:
    made = ChatTemplate(tokenizer(), "{{ bos_token }}" + HEADERS.replace("<|eot|>", "<|im_end|>"))
    with pytest.raises(TemplateError, match="two BOS"):
        made.prompt_ids(Conversation.of("Hi"))
    with pytest.raises(TemplateError, match="two BOS"):
        made.tokenize(talk("Hi", "Blue"))


@pytest.mark.parametrize("name", ["headers", "brackets"])
def test_bos_stands_once(name: str) -> None:
    made = template(name)
    start = made.tokenizer.id_of("<s>")
    assert made.prompt_ids(Conversation.of("Hi")).count(start) == 1  # type: ignore[arg-type]
    assert made.tokenize(talk("Hi", "Blue", "And?", "Red")).ids.count(start) == 1  # type: ignore[arg-type]


def test_a_prompt_must_wait_for_an_answer() -> None:
    with pytest.raises(DataError, match="must wait"):
        template("chatml").prompt_ids(talk("Hi", "Blue"))


def test_a_conversation_begun_by_the_assistant_needs_blocks() -> None:
    begun = Conversation((Message(role=Speaker.ASSISTANT, content="Hello"),))
    with pytest.raises(TemplateError, match="needs generation blocks"):
        template("chatml").tokenize(begun)
    made = template("marked")
    assert trained(made, made.tokenize(begun)) == "Hello<|im_end|>"


def test_thinking_printed_before_the_answer_is_part_of_what_is_sampled() -> None:
    thought = "('<think></think>' if message.role == 'assistant' else '')"
    source = CHATML.replace("message.content +", f"{thought} + message.content +")
    made = ChatTemplate(tokenizer(), source)
    row = made.tokenize_answer(Conversation.of("Hi"), "Blue")
    assert trained(made, row) == "<think></think>Blue<|im_end|>"
    said = [token for token, on in zip(row.ids, row.mask, strict=True) if on]
    assert made.answer_text(said) == "Blue"


def test_the_date_a_template_sees_is_fixed() -> None:
    made = ChatTemplate(tokenizer(), "{{ strftime_now('%d %b %Y') }}" + CHATML)
    assert made.render(talk("Hi")).startswith("01 Jan 2025<|im_start|>")


def test_json_in_a_template_keeps_its_characters() -> None:
    made = ChatTemplate(
        tokenizer(), CHATML.replace("message.content +", "message.content|tojson +")
    )
    assert '"<\u00e9>"' in made.render(talk("<\u00e9>"))


def test_digest_depends_on_template_and_tokenizer() -> None:
    digests = {
        ChatTemplate(tokenizer(eos), source).digest
        for eos in ("<|im_end|>", "</s>")
        for source in (CHATML, MARKED)
    }
    assert len(digests) == 4
    assert ChatTemplate(tokenizer(), CHATML).digest in digests


def test_a_token_that_takes_in_the_following_line_break_keeps_the_mask(tmp_path: Path) -> None:
    # Some chat models declare their stop token to swallow white space on its right.
    backend = Tokenizer.from_str(tokenizer()._backend.to_str())
    backend.add_special_tokens([AddedToken("<|done|>", rstrip=True, special=True)])
    greedy = TextTokenizer(backend, config={"eos_token": "<|done|>"})
    made = ChatTemplate(greedy, CHATML.replace("<|im_end|>", "<|done|>"))
    row = made.tokenize(talk("Hi", "Blue", "And?", "Red"))
    assert trained(made, row) == "Blue<|done|>Red<|done|>"


@pytest.fixture(scope="module")
def metaspace() -> TextTokenizer:
    """A tokenizer that puts a blank before a text's first word, as those of Llama 2 do."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    backend.train_from_iterator(CORPUS * 4, trainer)
    return TextTokenizer(
        backend, config={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    )


def test_a_tokenizer_that_prepends_blanks_gets_none_inside_a_conversation(
    metaspace: TextTokenizer,
) -> None:
    made = ChatTemplate(metaspace, BRACKETS)
    conversation = talk("How are you", "I am well", "And the sky", "It is blue")
    row = made.tokenize(conversation)
    assert list(row.ids) == metaspace.encode(made.render(conversation))
    answer = made.tokenize_answer(talk("How are you"), "I am well")
    said = [token for token, on in zip(answer.ids, answer.mask, strict=True) if on]
    assert answer.ids == row.ids[: len(answer.ids)]
    assert made.answer_text(said) == "I am well"


# ---- transformers as an oracle -------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    "conversation",
    [
        talk("Hi", "Blue"),
        talk("Name the colour of the sky.", "Blue,\n\nas a rule.", "At night?", "  \u00e9 \u4e2d "),
        talk("Hi", "Blue", system="Be short."),
        talk("Hi", "<think>a</think>Blue", "And?", "Red"),
        talk("Hi"),
    ],
)
def test_transformers_renders_the_same(
    tmp_path: Path, name: str, conversation: Conversation
) -> None:
    transformers = pytest.importorskip("transformers")
    made = template(name)
    ours = TextTokenizer(
        Tokenizer.from_str(made.tokenizer._backend.to_str()),
        config={f"{k}_token": made.tokenizer.special[f"{k}_token"] for k in ("bos", "eos", "pad")},
        chat_template=GOOD[name],
    )
    ours.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = [{"role": m.role.value, "content": m.content} for m in conversation.messages]
    opened = conversation.awaits_answer
    expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=opened)
    assert made.render(conversation, generation_prompt=opened) == expected
    if opened:
        ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        assert made.prompt_ids(conversation) == ids["input_ids"]
        return
    if not name.startswith("marked"):
        return
    out = theirs.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    row = made.tokenize(conversation)
    assert list(row.ids) == out["input_ids"]
    mask = [bool(on) for on in out["assistant_masks"]]
    if name == "marked_short":
        # The departure that the module states: a stop token right after a block is trained too.
        after = [False, *mask[:-1]]
        stops = [token == made.stop_id for token in row.ids]
        mask = [on or (was and end) for on, was, end in zip(mask, after, stops, strict=True)]
    assert list(row.mask) == mask
