"""Answers of a finished policy, outside any stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from accord.core.errors import ConfigError, DataError, WorkspaceError
from accord.core.machine import Machine
from accord.core.types import Conversation, Prompt, Response, SamplingSettings
from accord.pipeline.config import ALIGNED
from accord.pipeline.memory import Roomy
from accord.pipeline.runner import keys
from accord.pipeline.single import newest_artifact
from accord.pipeline.stage import Artifact, Stage, StageContext
from accord.pipeline.workspace import Workspace

POLICIES = (*ALIGNED, "sft", "pretrain", "base")
"""Stages whose artifact can answer, the most trained first."""


def find_policy(workspace: Workspace, stages: Sequence[Stage], wanted: str | None) -> Artifact:
    """The policy of a stage, or of one artifact folder; None: the most trained one of
    the settings, or one made by hand after that.

    Of a stage the artifact that the settings ask for counts, else the newest. Raises
    WorkspaceError where there is none and ConfigError for a name that cannot answer.
    """
    if wanted is None:
        return _most_trained(workspace, stages)
    name, _, key = wanted.partition("-")
    if name not in POLICIES:
        raise ConfigError("this is no policy", got=wanted, do=f"name one of {', '.join(POLICIES)}")
    if not key:
        return newest_artifact(workspace, name, stages)
    artifact = workspace.artifact(name, key)
    if artifact is None:
        raise WorkspaceError("there is no such artifact", got=wanted, where=workspace.artifacts)
    return artifact


def find_policies(
    workspace: Workspace, stages: Sequence[Stage], wanted: Sequence[str | None]
) -> list[Artifact]:
    """A policy for each name, as `find_policy` finds it.

    Raises ConfigError where two names mean the same one.
    """
    found = [find_policy(workspace, stages, name) for name in wanted]
    same = [policy for policy, count in Counter(map(_folder_name, found)).items() if count > 1]
    if same:
        raise ConfigError(
            "this policy is named twice",
            got=same[0],
            do=f"name another one: {', '.join(POLICIES)}, or an artifact by its folder",
        )
    return found


def names_of(policies: Sequence[Artifact]) -> list[str]:
    """What to call each: its stage, or its folder where another one is of the same stage."""
    stages = Counter(policy.name for policy in policies)
    return [
        policy.name if stages[policy.name] == 1 else _folder_name(policy) for policy in policies
    ]


def _folder_name(policy: Artifact) -> str:
    return f"{policy.name}-{policy.key}"


def _most_trained(workspace: Workspace, stages: Sequence[Stage]) -> Artifact:
    """The most trained policy of the settings, unless one was made by hand after all of them."""
    wanted = keys(workspace, stages)
    settled = [workspace.artifact(name, wanted.get(name, "")) for name in POLICIES]
    newest = [workspace.newest(name) for name in POLICIES]
    if not (made := [artifact for artifact in newest if artifact is not None]):
        raise WorkspaceError(
            "there is no policy to ask yet", where=workspace.root, do="`accord run`"
        )
    last = max(made, key=lambda artifact: artifact.manifest.ended)
    standing = [artifact for artifact in settled if artifact is not None]
    if not standing or last.folder not in [artifact.folder for artifact in standing]:
        return last
    return standing[0]


Watch = Callable[[Sequence[str]], None]
"""Hears what answers say so far."""


class Voice:
    """A finished policy, loaded once, that answers conversations.

    `beside` is one that is loaded already: the weights that both stand on are read once. Raises
    WorkspaceError where an artifact that the policy stands on is gone.
    """

    def __init__(
        self,
        workspace: Workspace,
        policy: Artifact,
        machine: Machine,
        *,
        beside: Voice | None = None,
    ) -> None:
        from accord.pipeline.stages.roles import Roles

        roles: Roles | None = None if beside is None else beside._roles
        stage = Stage(name="sample", kind="answers", config=None, body=lambda _: iter(()))
        inputs = {**below(workspace, policy), policy.name: policy}
        self._machine = machine
        self._roles: Roles = Roles(
            StageContext(stage=stage, inputs=inputs, output=workspace.root, machine=machine),
            beside=roles,
        )
        trained = policy.name in ALIGNED
        self._role = self._roles.trained(policy.name) if trained else self._roles.start()
        self._sampler = self._roles.sampler(self._role)

    @property
    def digest(self) -> str:
        """Digest of the stack of weights."""
        return self._role.stack or ""

    def tokens_over(self, conversation: Conversation, settings: SamplingSettings) -> int:
        """Tokens of a prompt that find no room in the context beside the answer; 0: it fits."""
        length = len(self._roles.template.prompt_ids(conversation))
        return max(0, length + settings.max_tokens - self._role.backbone.context)

    def respond(
        self,
        conversations: Sequence[Conversation],
        *,
        settings: SamplingSettings,
        n: int,
        seed: int,
        watch: Watch | None = None,
    ) -> list[list[Response]]:
        """`n` answers to each conversation, in order; the same seed, the same answers.

        `watch` hears after each token what the answers that are sampled together say so far; what
        it raises ends the sampling. Raises DataError where a prompt leaves no room for an answer in
        the model's context.
        """
        template = self._roles.template
        prompts = [Prompt(conversation=conversation) for conversation in conversations]
        for conversation in conversations:
            if over := self.tokens_over(conversation, settings):
                context = self._role.backbone.context
                raise DataError(
                    "a prompt leaves no room for an answer",
                    got=f"{context + over - settings.max_tokens} tokens; the model holds {context}",
                    do=f"shorten it, or ask for fewer than {settings.max_tokens} tokens",
                )
        ids = [template.prompt_ids(prompt.conversation) for prompt in prompts]

        def hear(rows: Sequence[Sequence[int]]) -> None:
            if watch is not None:
                watch([template.answer_text(tokens) for tokens in rows])

        with Roomy(self._machine):
            said = self._sampler.sample(
                ids, n=n, settings=settings, seed=seed, watch=None if watch is None else hear
            )
        return [
            [
                Response(
                    prompt_id=prompt.id,
                    text=template.answer_text(answer.tokens),
                    stop=answer.stop,
                    policy=self.digest,
                    settings=settings,
                    tokens=answer.tokens,
                )
                for answer in group
            ]
            for prompt, group in zip(prompts, said, strict=True)
        ]


def load_voices(
    workspace: Workspace, policies: Sequence[Artifact], machine: Machine
) -> list[Voice]:
    """Several policies in memory at once, with one copy of the weights that they share.

    Raises as `Voice` does.
    """
    voices: list[Voice] = []
    for policy in policies:
        beside = voices[0] if voices else None
        voices.append(Voice(workspace, policy, machine, beside=beside))
    return voices


def below(workspace: Workspace, model: Artifact) -> Mapping[str, Artifact]:
    """The policies that a model was made on, as its manifest names them.

    Raises WorkspaceError where one of them is gone.
    """
    found: dict[str, Artifact] = {}
    for name, entry in model.manifest.inputs.items():
        if name not in POLICIES:
            continue
        artifact = workspace.artifact(name, entry.key)
        if artifact is None:
            raise WorkspaceError(
                f"{model.name} stands on an artifact that is gone",
                got=f"{name}-{entry.key}",
                where=workspace.artifacts,
                do=f"`accord run --to {model.name}`",
            )
        found[name] = artifact
    return found
