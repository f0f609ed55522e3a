"""Just enough SVG: elements as text, every attribute and every word escaped."""

from __future__ import annotations

from html import escape

from accord.evals.report.words import visible

Value = str | float


def _text(value: Value) -> str:
    if isinstance(value, float):
        short = f"{value:.1f}"
        return short.removesuffix(".0") if short != "-0.0" else "0"
    return escape(visible(str(value)), quote=True)


def element(name: str, *inside: str, **attributes: Value | None) -> str:
    """One element. `inside` is SVG already; attributes and `words` are escaped.

    `css` stands for class and an underscore for a hyphen; None leaves an attribute out. Floats are
    written with one digit: coordinates are pixels of the view box.
    """
    written = "".join(
        f' {"class" if key == "css" else key.replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = "".join(inside)
    return f"<{name}{written}>{body}</{name}>" if body else f"<{name}{written}/>"


def words(
    text: str, *, x: float, y: float, css: str = "", anchor: str | None = None, more: str = ""
) -> str:
    """A line of text at its base line; `more` follows it in a softer voice."""
    place = None if anchor in {None, "start"} else anchor
    rest = element("tspan", _text(more), dx=8.0, css="kind") if more else ""
    return element("text", _text(text), rest, x=x, y=y, css=css or None, text_anchor=place)


def title(text: str) -> str:
    """What a browser shows when the pointer rests on the parent element."""
    return element("title", _text(text))


def picture(*inside: str, width: float, height: float, label: str, css: str = "") -> str:
    """A whole drawing. `label` tells a reader who cannot see it what it shows."""
    return element(
        "svg",
        *inside,
        css=f"chart {css}".strip(),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
    )


def clip(text: str, most: int) -> str:
    """`text` short enough for a label."""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
