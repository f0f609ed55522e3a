"""Trees of messages, as in OpenAssistant's oasst1 and oasst2 (Koepf et al. 2023, arXiv:2304.07327).

A prompter's message may have several replies, which people ranked: 0 is the best. One file has a
tree a row (`prompt`, with `replies` inside), another a message a row (`parent_id`); fields are
those of `oasst-data/oasst_data/schemas.py` in github.com/LAION-AI/Open-Assistant.

What becomes of a tree:

- the ranked replies of the assistant to one message: one comparison of all of them;
- its longest conversation in which every answer is the best of its siblings, or has none: one
  demonstration;
- every other message on the way to these is joined to them, and what is on no such way is listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from accord.collect.formats.shape import (
    Format,
    Item,
    Joined,
    Together,
    ordered,
    tiers_of,
    whole_number,
)
from accord.collect.records import (
    MOST_SHOWN,
    Record,
    Rejected,
    Unusable,
    checked_text,
    filled,
    mapping,
)
from accord.core.types import Conversation, Demonstration, Message, Speaker

_ROLE = {"prompter": Speaker.USER, "assistant": Speaker.ASSISTANT}
_WORST = 1 << 16
_UNUSED = (
    "stands in no comparison of ranked replies and not in the longest conversation of best answers"
)


@dataclass(eq=False, slots=True)
class _Node:
    """One message, known by what it is and not by what it says."""

    row: int
    place: str
    """Where in the row, with a dot behind it; empty where the row is the message."""
    fields: object
    parent: _Node | None = None
    replies: list[_Node] = field(default_factory=list)
    message: Message | None = None
    """None where it cannot be used."""
    rank: int | None = None
    depth: int = 0
    """Messages of the longest conversation of best answers that begins here, up to an answer."""
    best: _Node | None = None
    """The next message of it."""

    @property
    def answers(self) -> bool:
        return self.message is not None and self.message.role is Speaker.ASSISTANT

    def path(self) -> list[_Node]:
        """The messages from the first to this one."""
        found: list[_Node] = []
        node: _Node | None = self
        while node is not None:
            found.append(node)
            node = node.parent
        return found[::-1]


def _flat(records: Sequence[Record]) -> Iterator[Item]:
    """The messages of one tree, a row each, in any order."""
    nodes: dict[str, _Node] = {}
    source = ""
    for record in records:
        try:
            name = record.text("message_id")
            if name in nodes:
                raise Unusable("is that of an earlier row", "message_id")
            origin = record.origin()
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
            continue
        source = source or origin
        nodes[name] = _Node(record.row, "", record.values)
    roots, lost = _linked(nodes)
    for root, why in lost:
        for node in _below(root):
            told = why if node is root else "follows a message that is lost"
            yield Rejected(node.row, told, "parent_id")
    known = [*roots, *(root for root, _ in lost)]
    reached = {id(node) for root in known for node in _below(root)}
    for node in nodes.values():
        if id(node) not in reached:
            yield Rejected(node.row, "leads round in a circle", "parent_id")
    for root in roots:
        yield from _tree(root, source)


def _linked(nodes: Mapping[str, _Node]) -> tuple[list[_Node], list[tuple[_Node, str]]]:
    """Give each message its replies; the first ones of trees, and those that are lost, with why.

    A file may leave out what is null, so that a first message may have no `parent_id` at all.
    """
    roots: list[_Node] = []
    lost: list[tuple[_Node, str]] = []
    for name, node in nodes.items():
        fields = mapping(node.fields, "message")
        parent = fields.get("parent_id")
        if parent is None and ("parent_id" in fields or fields["message_tree_id"] == name):
            roots.append(node)
        elif parent is None:
            lost.append((node, "is missing"))
        elif isinstance(parent, str) and parent in nodes:
            node.parent = nodes[parent]
            node.parent.replies.append(node)
        else:
            lost.append((node, "is no row of the tree beside it"))
    return roots, lost


def _nested(record: Record) -> Iterator[Item]:
    """A whole tree in a row."""
    record.text("message_tree_id")
    root = _Node(record.row, "prompt.", mapping(record.value("prompt"), "prompt"))
    waiting = [root]
    while waiting:
        node = waiting.pop()
        replies = node.fields.get("replies") if isinstance(node.fields, Mapping) else None
        for index, reply in enumerate(replies if isinstance(replies, list) else []):
            place = f"{node.place}replies[{index}]."
            node.replies.append(_Node(record.row, place, reply, parent=node))
        waiting += node.replies
    yield from _tree(root, record.origin())


def _below(root: _Node) -> list[_Node]:
    """A message and all that follows it, each before its replies."""
    found = [root]
    for node in found:
        found += node.replies
    return found


def _tree(root: _Node, source: str) -> Iterator[Item]:
    """One item for each message of a tree."""
    nodes = _below(root)
    for node in nodes:
        try:
            _check(node)
        except Unusable as error:
            yield Rejected(node.row, error.what, error.column)
    good = [node for node in nodes if node.message is not None]
    used: set[int] = set()
    made: dict[int, Item] = {}
    for node in good:
        ranked = [reply for reply in node.replies if reply.answers and reply.rank is not None]
        if not node.answers and len(ranked) > 1:
            made[id(node)] = found = _compared(node, ranked, source)
            if not isinstance(found, Rejected):
                used |= {id(one) for one in (*node.path(), *ranked)}
    if last := _end_of_best(good):
        used |= {id(one) for one in last.path()}
        made[id(last)] = Demonstration(conversation=_conversation(last), source=source)
    for node in good:
        if id(node) in made:
            yield made[id(node)]
        elif id(node) in used:
            yield Joined(node.row)
        else:
            yield Rejected(node.row, _UNUSED, node.place.rstrip(".") or None)


def _check(node: _Node) -> None:
    """Fill in what a message says. Raises Unusable where it cannot be used."""
    fields = mapping(node.fields, node.place.rstrip(".") or "message")
    column = {name: f"{node.place}{name}" for name in ("text", "role", "rank", "replies")}
    if node.parent is not None and node.parent.message is None:
        raise Unusable("follows a message that cannot be used", node.place.rstrip(".") or None)
    if not isinstance(fields.get("replies"), list | None):
        raise Unusable("must be a list", column["replies"])
    for name, bad in (("deleted", True), ("review_result", False)):
        if fields.get(name) is bad:
            raise Unusable(f"is {str(bad).lower()}", f"{node.place}{name}")
    role = checked_text(fields.get("role"), column["role"])
    due = "prompter" if node.parent is None or node.parent.answers else "assistant"
    if role != due:
        raise Unusable(f"must be {due} here, got {ascii(role)[:MOST_SHOWN]}", column["role"])
    text = filled(fields.get("text"), column["text"])
    if fields.get("rank") is not None:
        node.rank = whole_number(fields["rank"], column["rank"], 0, _WORST)
    node.message = Message(role=_ROLE[role], content=text)


def _conversation(last: _Node) -> Conversation:
    return Conversation(tuple(node.message for node in last.path() if node.message is not None))


def _compared(asked: _Node, ranked: Sequence[_Node], source: str) -> Item:
    texts = tuple(node.message.content for node in ranked if node.message is not None)
    tiers = tiers_of([-(node.rank or 0) for node in ranked])
    try:
        return ordered(_conversation(asked), texts, tiers, source=source)
    except Unusable as error:
        return Rejected(asked.row, error.what, asked.place.rstrip(".") or None)


def _end_of_best(good: Sequence[_Node]) -> _Node | None:
    """The last answer of the longest conversation of best answers; the first of equal ones."""
    for node in reversed(good):
        usable = [reply for reply in node.replies if reply.message is not None]
        if node.answers:
            node.best = max(usable, key=lambda reply: reply.depth, default=None)
            node.best = node.best if node.best and node.best.depth else None
            node.depth = 1 + (node.best.depth if node.best else 0)
        else:
            node.best = _best(usable)
            node.depth = 1 + node.best.depth if node.best else 0
    end = good[0] if good else None
    while end is not None and end.best is not None:
        end = end.best
    return end if end is not None and end.answers else None


def _best(replies: Sequence[_Node]) -> _Node | None:
    """The only reply, or the first of those with the best rank; None where nobody ranked them."""
    if len(replies) == 1:
        return replies[0]
    ranked = [reply for reply in replies if reply.rank is not None]
    return min(ranked, key=lambda reply: reply.rank or 0, default=None)


MESSAGES = Format(
    name="oasst-messages",
    required=frozenset({"message_id", "message_tree_id"}),
    plain=frozenset({"message_id"}),
    optional=frozenset({"source", "parent_id", "text", "role", "rank", "deleted", "review_result"}),
    meaning="OpenAssistant's messages, one a row, with `parent_id`, `role`, `text` and `rank`: "
    "those of a tree that stand together become comparisons and one demonstration.",
    parse=lambda record: _flat([record]),
    together=Together(key=lambda record: record.text("message_tree_id"), parse=_flat),
)
TREES = Format(
    name="oasst-trees",
    required=frozenset({"message_tree_id", "prompt"}),
    meaning="OpenAssistant's trees, one a row: `prompt`, a message with `replies` inside.",
    parse=_nested,
)
