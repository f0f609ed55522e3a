"""From artifacts to roles: which weights a policy, reference, reward model or critic is.

Policy = base + SFT + its own adapter; reference = base + SFT; reward model = base, or one of its
own, + its adapter + head; critic = a copy of the reward model's. A stage that trained all weights
left a whole model instead of an adapter: then that model is the backbone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accord.algorithms.settings import AdapterSettings, CriticStart
from accord.core.errors import InvariantError, ModelError
from accord.core.files import write_atomic
from accord.models.backbone import Backbone, folder_digest
from accord.models.head import Criterion, ScalarHead, fresh_head, load_doubt, load_head
from accord.models.machine import prepare
from accord.models.role import Role, save_head, stack_digest
from accord.pipeline.artifact import open_artifact
from accord.pipeline.config import REWARD_BASE
from accord.pipeline.stage import Artifact, StageContext
from accord.pipeline.stages.base import BASE_FILE, base_folder
from accord.rollout.engine import TorchSampler
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

STACK_FILE = "stack.json"
CALIBRATION_FILE = "calibration.json"
"""Of a reward model: the temperature of its raw leads, where it was tried on held-out pairs."""


class Roles:
    """Builds the roles of one stage from its inputs; frozen weights are read once.

    `trains_all` says that the stage trains all weights of its policy: frozen ones are then held in
    float32 too, so that a reference starts equal to its policy. Roles made `beside` others share
    the frozen weights that both read; `trains_all` is the same for both. `on` is the base they are
    built on, where it is not the policy's.
    """

    def __init__(
        self,
        context: StageContext,
        *,
        packing: bool = True,
        trains_all: bool = False,
        beside: Roles | None = None,
        on: Artifact | None = None,
    ) -> None:
        prepare(context.machine)
        self.context = context
        self.packing = packing
        self.trains_all = trains_all
        name = "pretrain" if "pretrain" in context.inputs else "base"
        base = on or context.input(name)
        self.base = base_folder(base)
        self.tokenizer = TextTokenizer.load(self.base)
        self.template = ChatTemplate(self.tokenizer)
        self._expect(base)
        self._loaded: dict[Path, Backbone] = {} if beside is None else beside._loaded
        self._reader: Roles | None = None
        self._digests: dict[str, str] = {} if beside is None else beside._digests

    def reader(self) -> Roles:
        """Roles on the base that the reward model reads with: these, unless it has its own.

        Which one that is, the stage's inputs say while it trains and its manifest afterwards.
        Raises WorkspaceError where it is gone.
        """
        if self._reader is None:
            self._reader = self._found_reader()
        return self._reader

    def _found_reader(self) -> Roles:
        if (own := self.context.inputs.get(REWARD_BASE)) is None:
            artifact = self.context.inputs.get("reward")
            entry = artifact.manifest.inputs.get(REWARD_BASE) if artifact else None
            if artifact is None or entry is None:
                return self
            own = open_artifact(artifact.folder.parent / f"{REWARD_BASE}-{entry.key}")
        return Roles(
            self.context, packing=self.packing, trains_all=self.trains_all, beside=self, on=own
        )

    def backbone(self, folder: Path, *, train_all: bool = False) -> Backbone:
        """Weights of a folder: one frozen copy for all roles, or a fresh one to train."""
        if train_all:
            return Backbone.load(folder, machine=self.context.machine, train_all=True)
        if folder not in self._loaded:
            self._loaded[folder] = Backbone.load(
                folder, machine=self.context.machine, wide=self.trains_all
            )
        return self._loaded[folder]

    def start(self) -> Role:
        """The policy that RL and DPO start from, frozen: their reference.

        Raises InvariantError where its stack is not the one the SFT artifact recorded.
        """
        if "sft" not in self.context.inputs:
            return self.bare()
        artifact = self.context.input("sft")
        if (artifact.folder / "model").is_dir():
            return self._verified(self._frozen(self._whole(artifact), ()), artifact)
        return self._verified(self._stacked(self.backbone(self.base), (), artifact), artifact)

    def bare(self) -> Role:
        """The base without any adapter, frozen."""
        return self._frozen(self.backbone(self.base), ())

    def trained(self, name: str) -> Role:
        """The frozen policy that stage `name` made. Raises InvariantError as `start` does."""
        artifact = self.context.input(name)
        if (artifact.folder / "model").is_dir():
            return self._verified(self._frozen(self._whole(artifact), ()), artifact)
        # What did not start from SFT has its adapter on the base alone.
        start = self.start() if "sft" in artifact.manifest.inputs else self.bare()
        return self._verified(self._stacked(start.backbone, start.adapters, artifact), artifact)

    def trainable(self, name: str, settings: AdapterSettings, seed: int) -> Role:
        """A policy on top of `start`: a fresh adapter, or a copy of all weights."""
        start = self.start()
        if settings.full:
            if start.adapters:
                raise ModelError(
                    "all weights can not be trained under an SFT adapter",
                    do="train SFT with adapter.rank = 0 as well, or give this stage an adapter",
                )
            artifact = self.context.inputs.get("sft")
            folder = artifact.folder / "model" if artifact else self.base
            return Role(self.backbone(folder, train_all=True), packing=self.packing)
        start.backbone.add_adapter(name, rank=settings.rank, alpha=settings.alpha, seed=seed)
        return replace(start, adapters=(*start.adapters, name), stack=None)

    def fresh_scorer(
        self,
        settings: AdapterSettings,
        seed: int,
        *,
        heads: int = 1,
        criteria: Sequence[Criterion] = (),
    ) -> Role:
        """A reward model at its start, on the base."""
        backbone = self.backbone(self.base, train_all=settings.full)
        head = fresh_head(backbone.hidden_size, heads, seed=seed, criteria=criteria)
        head = head.to(self.context.machine.device)
        if settings.full:
            return Role(backbone, (), head, packing=self.packing)
        backbone.add_adapter("reward", rank=settings.rank, alpha=settings.alpha, seed=seed)
        return Role(backbone, ("reward",), head, packing=self.packing)

    def reward(self) -> Role:
        """The frozen reward model, on a base of its own where it was trained on one."""
        artifact = self.context.input("reward")
        reader = self.reader()
        if reader is not self:
            return replace(reader._reward(artifact), reads=reader.template)
        return self._reward(artifact)

    def _reward(self, artifact: Artifact) -> Role:
        if (artifact.folder / "model").is_dir():
            role = self._frozen(self._whole(artifact), ())
        else:
            role = self._stacked(self.backbone(self.base), (), artifact)
        role = self._verified(role, artifact)
        head, scale = load_head(role.backbone.hidden_size, artifact.folder)
        doubt = load_doubt(role.backbone.hidden_size, artifact.folder)
        head = head.to(self.context.machine.device)
        calibration = artifact.folder / CALIBRATION_FILE
        heat = json.loads(calibration.read_text())["temperature"] if calibration.is_file() else 1.0
        return replace(role, head=head, scale=scale, doubt=doubt, temperature=heat)

    def critic(self, reward: Role, start: CriticStart = CriticStart.REWARD) -> Role:
        """A trainable copy of the reward model, unit included, with its head, the mean or weighted
        sum of several, or one that says 0."""
        if reward.reads is not None:
            return self._own_critic(start)
        artifact = self.context.input("reward")
        read, scale = load_head(reward.backbone.hidden_size, artifact.folder)
        head = read if isinstance(read, ScalarHead) else read.mean_head()
        if start is CriticStart.ZERO:
            head.say(scale.shift)
        head = head.requires_grad_(True).to(self.context.machine.device)
        if not reward.adapters:
            whole = self.backbone(artifact.folder / "model", train_all=True)
            return Role(whole, (), head, scale, self.packing)
        reward.backbone.copy_adapter(reward.adapters[-1], "value")
        return Role(reward.backbone, ("value",), head, scale, self.packing)

    def _own_critic(self, start: CriticStart) -> Role:
        """A fresh critic on the policy's base, that says 0, beside a reward model on another."""
        if start is not CriticStart.ZERO:  # refused before anything is made (`agreeing`)
            raise InvariantError(
                "a critic is to start as a reward model that stands on a base of its own",
                got=f"critic.start = {str(start)!r}",
            )
        settings = self.context.config.own.adapter
        backbone = self.backbone(self.base, train_all=settings.full)
        head = ScalarHead(backbone.hidden_size, seed=0).to(self.context.machine.device)
        head.say(0.0)
        if settings.full:
            return Role(backbone, (), head, packing=self.packing)
        seed = self.context.seed + self.context.config.own.seed
        backbone.add_adapter("value", rank=settings.rank, alpha=settings.alpha, seed=seed + 1)
        return Role(backbone, ("value",), head, packing=self.packing)

    def sampler(self, role: Role) -> TorchSampler:
        """The embedded engine over a role, ending answers at the template's stop token."""
        sampler = TorchSampler(role, stop_ids=[self.template.stop_id])
        self.context.note("decoder", "fast" if sampler.fast else "plain")
        return sampler

    def save(self, role: Role, name: str) -> None:
        """Write what stage `name` trained, with the stack it belongs to, into the output."""
        output = self.context.output
        adapters: list[str] = []
        if role.adapters:
            below = [self._digests[adapter] for adapter in role.adapters[:-1]]
            adapters = [*below, role.backbone.save_adapter(name, output / "adapter")]
            base = role.backbone.digest
        else:
            role.backbone.save_model(output / "model", tokenizer_from=self.base)
            base = folder_digest(output / "model")
        if role.head is not None:
            save_head(role, output)
        body = {"base": base, "adapters": adapters, "stack": stack_digest(base, tuple(adapters))}
        write_atomic(output / STACK_FILE, json.dumps(body, indent=2) + "\n")

    def _whole(self, artifact: Artifact) -> Backbone:
        return self.backbone(artifact.folder / "model")

    def _stacked(self, backbone: Backbone, below: tuple[str, ...], artifact: Artifact) -> Role:
        """An artifact's adapter on top of those `below`, read once."""
        name = f"{artifact.name}-{artifact.key}"  # two policies may share the weights below
        if name not in backbone.adapters:
            self._digests[name] = backbone.load_adapter(name, artifact.folder / "adapter")
        return self._frozen(backbone, (*below, name))

    def _frozen(self, backbone: Backbone, names: tuple[str, ...]) -> Role:
        stack = stack_digest(backbone.digest, tuple(self._digests[name] for name in names))
        return Role(backbone, names, packing=self.packing, stack=stack)

    @staticmethod
    def _verified(role: Role, artifact: Artifact) -> Role:
        """`role`, if its weights are those that the artifact recorded when it was made."""
        recorded = json.loads((artifact.folder / STACK_FILE).read_text())["stack"]
        if role.stack != recorded:
            raise InvariantError(
                f"the weights loaded for {artifact.name} are not those it was made of",
                got=f"stack {role.stack}, recorded {recorded}",
                where=artifact.folder,
                do="delete this artifact and run again",
            )
        return role

    def _expect(self, artifact: Artifact) -> None:
        """Refuse a base whose files changed since the base stage looked at them."""
        record = artifact.folder / BASE_FILE
        if not record.is_file():
            return
        body = json.loads(record.read_text())
        ways = (
            ("base model", body["digest"], folder_digest(self.base)),
            ("chat template", body["template"], self.template.digest),
        )
        for what, known, found in ways:
            if found != known:
                raise ModelError(
                    f"the {what} changed since this workspace first saw it",
                    got=f"digest {found[:16]}, was {known[:16]}",
                    where=self.base,
                    do="restore the files, or start a new workspace",
                )
