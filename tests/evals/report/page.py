"""A strict reader of HTML: every element closed in order, nothing unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br"}
SELF_CLOSING = {"path", "circle", "rect"}
KNOWN = {
    *("html", "head", "title", "style", "body", "header", "main", "footer", "nav", "section"),
    *("article", "div", "p", "ul", "li", "a", "h1", "h2", "h3", "h4", "dl", "dt", "dd", "span"),
    *("figure", "figcaption", "b", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary", "svg", "g", "text", "tspan"),
    *VOID,
    *SELF_CLOSING,
}


@dataclass
class Element:
    """One element: where it stands and what it holds."""

    name: str
    attributes: dict[str, str]
    path: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """The elements of a page in order. Raises AssertionError on anything sloppy."""

    source: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        assert not self._open, f"never closed: {[e.name for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, f"unexpected element {tag} {attrs}"
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"attribute twice: {tag} {names}"
        assert not [n for n in names if n.startswith("on")], f"event handler: {tag} {names}"
        path = tuple(e.name for e in self._open)
        element = Element(tag, {n: v or "" for n, v in attrs}, path)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"closed but not open: {tag}"
        assert self._open[-1].name == tag, f"{tag} closed inside {self._open[-1].name}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"unknown declaration {data}")

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment got out: {data}")

    def all(self, *names: str) -> list[Element]:
        """Elements of these names in order."""
        return [element for element in self.elements if element.name in names]
