"""Runs a chat template: Jinja2 in a sandbox, as transformers runs it, with the same additions.

Additions: `{% generation %}` blocks, loop controls, `raise_exception`, `tojson` that keeps
non-ASCII text, and `strftime_now`. Departure: `strftime_now` gives a fixed date, so that the same
data gives the same tokens on every day.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from accord.core.errors import TemplateError
from accord.core.types import Message

NOW = datetime(2025, 1, 1, tzinfo=UTC)
"""What `strftime_now` takes for the present."""

_FAULTS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a template, which is somebody else's program, may raise."""

Span = tuple[int, int]
"""Characters [start, end) of a rendered text."""


class Renderer:
    """One compiled chat template. Raises TemplateError where it is not valid Jinja2.

    `names` are the template's variables beside `messages` and `add_generation_prompt`: the special
    tokens, by name.
    """

    def __init__(self, source: str, names: Mapping[str, str]) -> None:
        nonce = secrets.token_hex(8)
        self._opening, self._closing = f"\x00[{nonce}\x00", f"\x00{nonce}]\x00"
        environment = _Sandbox(self._opening, self._closing)
        try:
            self._template = environment.from_string(source)
        except _FAULTS as error:
            raise TemplateError(
                "the chat template is not valid Jinja2",
                got=error,
                where=f"line {getattr(error, 'lineno', '?')} of the template",
            ) from None
        self._names = dict(names)

    def render(
        self, messages: Sequence[Message], *, generation_prompt: bool
    ) -> tuple[str, list[Span]]:
        """The text of `messages` and the spans that the template's generation blocks printed.

        Raises TemplateError with what the template complained about.
        """
        try:
            marked = self._template.render(
                messages=[{"role": m.role.value, "content": m.content} for m in messages],
                add_generation_prompt=generation_prompt,
                tools=None,
                documents=None,
                **self._names,
            )
        except _FAULTS as error:
            roles = " ".join(message.role.value for message in messages)
            raise TemplateError(
                "the chat template refuses a conversation",
                got=f"{error} (roles: {roles})",
                do="change the conversation's turns, or set another template",
            ) from None
        return self._unmark(marked)

    def _unmark(self, marked: str) -> tuple[str, list[Span]]:
        pieces: list[str] = []
        spans: list[Span] = []
        length = 0
        for number, part in enumerate(marked.split(self._opening)):
            inside, closed, rest = part.partition(self._closing)
            if number > 0:
                if not closed:
                    raise TemplateError("the chat template nests generation blocks")
                spans.append((length, length + len(inside)))
            pieces += [inside, rest]
            length += len(inside) + len(rest)
        return "".join(pieces), spans


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment of chat templates; `opening` and `closing` surround generation blocks."""

    def __init__(self, opening: str, closing: str) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
        )
        self.opening, self.closing = opening, closing
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = NOW.strftime


class _Generation(Extension):
    """The block `{% generation %} ... {% endgeneration %}`, which an assistant turn stands in."""

    tags = {"generation"}  # noqa: RUF012 - Jinja2 declares it so

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_surround"), [], [], body).set_lineno(line)

    def _surround(self, caller: Callable[[], str]) -> str:
        environment = self.environment
        assert isinstance(environment, _Sandbox)
        return environment.opening + caller() + environment.closing


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it stands in a prompt: nothing escaped for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
