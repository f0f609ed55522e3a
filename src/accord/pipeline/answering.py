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
    """`n` answers of `policy` to each conversation, in order; the same seed, the same answers.

    Raises DataError where a prompt leaves no room for an answer in the model's context, and
    WorkspaceError where an artifact that the policy stands on is gone.
    """
    from accord.pipeline.stages.roles import Roles

    stage = Stage(name="sample", kind="answers", config=None, body=lambda _: iter(()))
    inputs = {**_below(workspace, policy), policy.name: policy}
    roles = Roles(StageContext(stage=stage, inputs=inputs, output=workspace.root, machine=machine))
    role = roles.trained(policy.name) if policy.name in ("ppo", "dpo") else roles.start()
    prompts = [Prompt(conversation=conversation) for conversation in conversations]
    ids = [roles.template.prompt_ids(prompt.conversation) for prompt in prompts]
    room = role.backbone.context - settings.max_tokens
    for row in ids:
        if len(row) > room:
            raise DataError(
                "a prompt leaves no room for an answer",
                got=f"{len(row)} tokens; the model holds {role.backbone.context}",
                do=f"shorten it, or ask for fewer than {settings.max_tokens} tokens",
            )
    with Roomy(machine):
        said = roles.sampler(role).sample(ids, n=n, settings=settings, seed=seed)
    return [
        [
            Response(
                prompt_id=prompt.id,
                text=roles.template.answer_text(answer.tokens),
                stop=answer.stop,
                policy=role.stack or "",
                settings=settings,
                tokens=answer.tokens,
            )
            for answer in group
        ]
        for prompt, group in zip(prompts, said, strict=True)
    ]


def _below(workspace: Workspace, policy: Artifact) -> Mapping[str, Artifact]:
    """The models that a policy was made on, as its manifest names them."""
    found: dict[str, Artifact] = {}
    for name, entry in policy.manifest.inputs.items():
        if name not in POLICIES:
            continue
        artifact = workspace.artifact(name, entry.key)
        if artifact is None:
            raise WorkspaceError(
                f"{policy.name} stands on an artifact that is gone",
                got=f"{name}-{entry.key}",
                where=workspace.artifacts,
                do=f"`accord run --to {policy.name}`",
            )
        found[name] = artifact
    return found
