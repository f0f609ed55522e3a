"""One copy of a causal language model's weights, with named low-rank adapters on it.

All roles of a run (policy, reference, reward model, critic) are stacks of adapters on one backbone:
see `accord.models.role`. Departure from PEFT's habit: nothing is ever merged, and which adapters
train is decided once, when they are made, not by which are active.

Shape letters:  N = real tokens of a batch; D = hidden size; B = sequences; T = longest length.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from accord.core.errors import ConfigError, ModelError
from accord.core.hashing import digest, file_digest
from accord.core.machine import Machine
from accord.models.attention import RAGGED, Layout, register_ragged
from accord.models.bars import no_bars
from accord.models.context import context_of
from accord.models.joint import made_joint
from accord.models.partial import run_until
from accord.models.ragged import Folded, Ragged
from accord.models.soundness import check_head, packs_right

log = logging.getLogger(__name__)

ADAPTER_FILE = "adapter_model.safetensors"


def folder_digest(folder: Path) -> str:
    """Digest of a model folder: its weights and its configuration, not its tokenizer."""
    files = sorted([*folder.glob("*.safetensors"), folder / "config.json"])
    if len(files) < 2:
        raise ModelError(
            "this folder holds no model", where=folder, do="give a transformers folder"
        )
    return digest({path.name: file_digest(path) for path in files})


class Backbone:
    """Weights of one causal language model and the adapters on them.

    `digest` names the weights without adapters. `trains_all` says that the weights themselves are
    trained (float32); otherwise they are frozen and held in the machine's dtype.
    """

    def __init__(self, model: PreTrainedModel, *, machine: Machine, digest: str) -> None:
        register_ragged()
        self.model = model.eval()
        self.machine = machine
        self.digest = digest
        self.dtype = torch.bfloat16 if machine.dtype == "bfloat16" else torch.float32
        self._peft: PeftModel | None = None
        self._active: tuple[str, ...] = ()
        self._trained: set[str] = set()
        self._wide: tuple[Tensor, Tensor | None] | None = None
        self.packs = _may_pack(model)
        self.model.requires_grad_(False)

    @classmethod
    def load(
        cls, folder: Path, *, machine: Machine, train_all: bool = False, wide: bool = False
    ) -> Backbone:
        """Read a transformers folder and check that Accord computes what its model does.

        With `train_all` the weights are float32 and trainable; otherwise frozen, in the machine's
        dtype, or in float32 where `wide`: the reference of weights that are trained must hold what
        they start from, unrounded. Raises ModelError with the file and the cause.
        """
        name = folder_digest(folder)
        wide = wide or train_all or machine.dtype == "float32"
        try:
            with no_bars():
                loaded: Any = AutoModelForCausalLM.from_pretrained(
                    folder,
                    dtype=torch.float32 if wide else torch.bfloat16,
                    local_files_only=True,
                    output_loading_info=True,
                )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                "the model cannot be loaded", got=error, where=folder, do="check the folder"
            ) from error
        model, report = loaded
        if report["missing_keys"]:  # transformers would fill them with random numbers
            raise ModelError(
                "the model's files lack weights", got=min(report["missing_keys"]), where=folder
            )
        placed = cast(PreTrainedModel, model.to(torch.device(machine.device)))
        backbone = cls(placed, machine=machine, digest=name)
        backbone.model.requires_grad_(train_all)
        check_head(backbone)
        backbone.packs = _may_pack(placed) and packs_right(backbone)
        if not backbone.packs:
            log.warning("%s runs padded: its attention cannot be packed", placed.config.model_type)
        return backbone

    @property
    def decoder(self) -> nn.Module:
        """The layers below the language-model head."""
        return cast(nn.Module, self.model.get_decoder())

    @property
    def config(self) -> Any:
        """The decoder's transformers configuration."""
        return self.decoder.config

    @property
    def head(self) -> nn.Linear:
        """The language-model head."""
        return cast(nn.Linear, self.model.get_output_embeddings())

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings in float32, so that what the layers add to stays unrounded.

        A residual stream in bfloat16 is rounded twice a layer: it puts sampler and trainer apart.
        """
        table = cast(nn.Module, self.model.get_input_embeddings())
        return cast(Tensor, table(ids)).float()

    def wide_head(self) -> tuple[Tensor, Tensor | None]:
        """The head's weights and bias in float32: the parameters themselves, or one kept copy.

        What they are for: see `accord.models.logprobs`.
        """
        head = self.head
        if head.weight.dtype is torch.float32:
            return head.weight, head.bias
        if self._wide is None:
            bias = cast(Tensor | None, head.bias)
            bias = None if bias is None else bias.detach().float()
            self._wide = (head.weight.detach().float(), bias)
        return self._wide

    @property
    def hidden_size(self) -> int:
        """Width of a hidden state."""
        return int(self.head.in_features)

    @property
    def context(self) -> int:
        """Longest sequence the positions were made for, in tokens."""
        return context_of(self.model.config)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that lie on these weights."""
        return tuple(self._peft.peft_config) if self._peft is not None else ()

    def linear_names(self) -> list[str]:
        """Last parts of the names of the linear layers inside the decoder."""
        names = {
            name.removesuffix(".base_layer").rsplit(".", 1)[-1]
            for name, module in self.decoder.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and ".lora_" not in name
        }
        return sorted(names)

    def add_adapter(self, name: str, *, rank: int, alpha: float, seed: int) -> None:
        """Lay a fresh, trainable adapter on every linear layer: its update starts at zero."""
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]
            target_modules=self.linear_names(),
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in self.decoder.modules()),
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        )
        self._inject(name, config)
        generator = torch.Generator().manual_seed(seed)
        for layer in self._layers():
            a = cast(nn.Linear, layer.lora_A[name]).weight
            bound = a.shape[1] ** -0.5  # where PEFT starts it, but from a seed of its own
            with torch.no_grad():
                fresh = torch.rand(a.shape, generator=generator) * 2 * bound - bound
                a.copy_(fresh.to(a.device))
        self.train_adapter(name, True)

    def copy_adapter(self, source: str, name: str) -> None:
        """Lay a trainable copy of adapter `source` on the weights, under another name."""
        assert self._peft is not None
        self._inject(name, cast(LoraConfig, self._peft.peft_config[source]))
        for layer in self._layers():
            for part in (layer.lora_A, layer.lora_B):
                part[name].load_state_dict(part[source].state_dict())
        self.train_adapter(name, True)

    def load_adapter(self, name: str, folder: Path) -> str:
        """Read a frozen adapter in PEFT's format and return its digest.

        Raises ModelError where the file is missing, was made for another base, or fits no layer.
        """
        try:
            settings = json.loads((folder / "adapter_config.json").read_text())
            base = settings["base_model_name_or_path"]
            state = load_file(folder / ADAPTER_FILE)
            config = LoraConfig.from_pretrained(str(folder))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError("the adapter cannot be read", got=error, where=folder) from error
        if base != self.digest:
            raise ModelError(
                "the adapter was made for another base model",
                got=f"{base}, here {self.digest}",
                where=folder,
                do="run the stages that made it again on this base",
            )
        self._inject(name, config)
        wanted, found = self._shapes(name), {key: tuple(t.shape) for key, t in state.items()}
        if found != wanted:
            odd = min(key for key in wanted | found if wanted.get(key) != found.get(key))
            raise ModelError(
                "the adapter's weights are not those of its layers",
                got=f"{odd}: {found.get(odd, 'missing')}, not {wanted.get(odd, 'expected')}",
                where=folder,
                do="run the stage that made it again",
            )
        set_peft_model_state_dict(self._peft, state, adapter_name=name)
        self.train_adapter(name, False)
        return file_digest(folder / ADAPTER_FILE)

    def save_adapter(self, name: str, folder: Path) -> str:
        """Write an adapter in PEFT's format and return its digest (of the weights file)."""
        assert self._peft is not None
        folder.mkdir(parents=True, exist_ok=True)
        state = self._state(name)
        save_file({k: v.contiguous().cpu() for k, v in state.items()}, folder / ADAPTER_FILE)
        config = self._peft.peft_config[name].to_dict()
        config |= {"base_model_name_or_path": self.digest, "inference_mode": True}
        config["target_modules"] = sorted(config["target_modules"])
        text = json.dumps(config, indent=2, sort_keys=True, default=str)
        (folder / "adapter_config.json").write_text(text + "\n")
        return file_digest(folder / ADAPTER_FILE)

    def save_model(self, folder: Path, *, tokenizer_from: Path) -> None:
        """Write the weights as a transformers folder, with the tokenizer files beside them."""
        if self.adapters:
            raise ModelError("weights under adapters are saved by whoever made them")
        with no_bars():
            self.model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            if (tokenizer_from / name).is_file():
                shutil.copyfile(tokenizer_from / name, folder / name)

    def train_adapter(self, name: str, trained: bool) -> None:
        """Decide whether an adapter's weights take gradients."""
        (self._trained.add if trained else self._trained.discard)(name)
        self._set_gradients()

    def adapter_parameters(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and float32 weights of one adapter, in a fixed order."""
        for key, parameter in self.model.named_parameters():
            if ".lora_" in key and key.split(".")[-2] == name:
                yield key, parameter

    def activate(self, names: Sequence[str]) -> None:
        """Let exactly these adapters, in this order, take part in what is computed next."""
        wanted = tuple(names)
        if wanted == self._active:
            return
        missing = set(wanted) - set(self.adapters)
        if missing:
            raise ModelError("no such adapter", got=sorted(missing), where=str(self.adapters))
        for layer in self._layers():
            layer.set_adapter(list(wanted), inference_mode=True)
        self._active = wanted
        self._set_gradients()

    def hidden(self, batch: Ragged, *, packing: bool = True, padding_side: str = "right") -> Tensor:
        """Last hidden states `[N, D]` of the real tokens, under the active adapters.

        `packing` lays all sequences in one row with attention kept inside each, and runs what all
        of them start with once; off, or where the model cannot, they are padded on `padding_side`.
        Raises ConfigError on a sequence longer than the model's context.
        """
        taken, out = self._run(batch, packing=packing, padding_side=padding_side)
        return taken(out.last_hidden_state)

    def hidden_after(self, batch: Ragged, layers: int) -> tuple[Tensor, Tensor]:
        """(last hidden states, those after so many `layers`), both `[N, D]`.

        0 layers are the embeddings. Raises ConfigError as `hidden`, and where there are fewer.
        """
        taken, out = self._run(batch, output_hidden_states=True)
        if not 0 <= layers < len(out.hidden_states):
            raise ConfigError(
                "the model has fewer layers",
                got=layers,
                do=f"name 0 to {len(out.hidden_states) - 1}",
            )
        return taken(out.last_hidden_state), taken(out.hidden_states[layers])

    def states_after(self, batch: Ragged, layers: int) -> Tensor:
        """`hidden_after`'s second part alone: the layers above are not run. Raises as it does."""
        taken, out = self._run(batch, until=layers)
        return taken(out.last_hidden_state)

    def _run(
        self, batch: Ragged, *, packing: bool = True, padding_side: str = "right", **asked: Any
    ) -> tuple[Callable[[Tensor], Tensor], Any]:
        """What makes `[N, D]` of real tokens of the decoder's states, and what the decoder gave."""
        if max(batch.lengths) > self.context:
            raise ConfigError(
                "a sequence is longer than the model's context",
                got=f"{max(batch.lengths)} tokens, context {self.context}",
                do="lower max_tokens or shorten the prompts",
            )
        with torch.autocast(self.machine.device, dtype=torch.bfloat16, enabled=self.mixed):
            if packing and self.packs:
                return self._packed(batch, **asked)
            ids_BT, positions_BT, real_BT = batch.padded(padding_side)
            return (lambda states: states[real_BT]), self._decode(
                inputs_embeds=self.embed(ids_BT),
                position_ids=positions_BT,
                attention_mask=real_BT,
                use_cache=False,
                **asked,
            )

    def _packed(self, batch: Ragged, **asked: Any) -> tuple[Callable[[Tensor], Tensor], Any]:
        config, folded = self.config, Folded.of(batch)
        usual, config._attn_implementation = config._attn_implementation, RAGGED
        try:
            return (lambda states: folded.unfolded(states[0])), self._decode(
                inputs_embeds=self.embed(folded.ids_R[None]),
                position_ids=folded.positions_R[None],
                use_cache=False,
                ragged=Layout.of(folded),
                **asked,
            )
        finally:  # whoever else runs this model meets it as it was
            config._attn_implementation = usual

    def _decode(self, *, until: int | None = None, **given: Any) -> Any:
        return self.decoder(**given) if until is None else run_until(self.decoder, until, **given)

    @property
    def mixed(self) -> bool:
        """Whether products run in bfloat16."""
        return self.dtype is torch.bfloat16

    def _layers(self) -> Iterator[LoraLayer]:
        for module in self.model.modules():
            if isinstance(module, LoraLayer):
                yield module

    def _inject(self, name: str, config: LoraConfig) -> None:
        if name in self.adapters:
            raise ModelError("an adapter of this name is already there", got=name)
        if self._peft is None:
            with warnings.catch_warnings():
                # PEFT 0.21 reads a property that transformers 5.23 has renamed.
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
                self._peft = PeftModel(self.model, made_joint(config), adapter_name=name)
        else:
            self._peft.add_adapter(name, made_joint(config))
        for key, parameter in self.adapter_parameters(name):
            if parameter.dtype is not torch.float32:
                raise ModelError("adapters must be float32", got=f"{key}: {parameter.dtype}")
        self._active = ("",)  # PEFT activates what it adds: the next `activate` must act

    def _state(self, name: str) -> dict[str, Tensor]:
        """Weights of one adapter under the names that PEFT's files have."""
        state = get_peft_model_state_dict(
            self._peft, adapter_name=name, save_embedding_layers=False
        )
        return cast(dict[str, Tensor], state)

    def _shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        return {key: tuple(tensor.shape) for key, tensor in self._state(name).items()}

    def _set_gradients(self) -> None:
        for key, parameter in self.model.named_parameters():
            if ".lora_" in key:
                parameter.requires_grad_(key.split(".")[-2] in self._trained)


def _may_pack(model: PreTrainedModel) -> bool:
    kinds = getattr(model.config, "layer_types", None) or ["full_attention"]
    window = getattr(model.config, "sliding_window", None)
    return bool(
        getattr(model, "_supports_attention_backend", False)
        and set(kinds) == {"full_attention"}
        and window is None
    )
