"""Answers of a finished policy, outside any stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accord.core.errors import ConfigError, DataError, WorkspaceError
from accord.core.machine import Machine
from accord.core.types import Conversation, Prompt, Response, SamplingSettings
from accord.pipeline.memory import Roomy
from accord.pipeline.runner import keys
from accord.pipeline.single import newest_artifact
from accord.pipeline.stage import Artifact, Stage, StageContext
from accord.pipeline.workspace import Workspace

POLICIES = ("ppo", "dpo", "sft", "pretrain", "base")
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


class Voice:
    """A finished policy, loaded once, that answers conversations.

    Raises WorkspaceError where an artifact that the policy stands on is gone.
    """

    def __init__(self, workspace: Workspace, policy: Artifact, machine: Machine) -> None:
        from accord.pipeline.stages.roles import Roles

        stage = Stage(name="sample", kind="answers", config=None, body=lambda _: iter(()))
        inputs = {**below(workspace, policy), policy.name: policy}
        self._machine = machine
        self._roles = Roles(
            StageContext(stage=stage, inputs=inputs, output=workspace.root, machine=machine)
        )
        trained = policy.name in ("ppo", "dpo")
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
    ) -> list[list[Response]]:
        """`n` answers to each conversation, in order; the same seed, the same answers.

        Raises DataError where a prompt leaves no room for an answer in the model's context.
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
        with Roomy(self._machine):
            said = self._sampler.sample(ids, n=n, settings=settings, seed=seed)
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


def respond(
    workspace: Workspace,
    policy: Artifact,
    conversations: Sequence[Conversation],
    *,
    settings: SamplingSettings,
    n: int,
    seed: int,
    machine: Machine,
) -> list[list[Response]]:
    """`n` answers of `policy` to each conversation: a `Voice` that speaks once.

    Raises as `Voice` and `Voice.respond` do.
    """
    voice = Voice(workspace, policy, machine)
    return voice.respond(conversations, settings=settings, n=n, seed=seed)


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
