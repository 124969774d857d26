"""Language models as frozen trunks, whose upper layers learners adapt.

    model = load_language_model("smollm2-135m", layers=8)
    reader = model.reader(family.texts, adapt=2)
    add_lora(reader)
    learner = Maml(nn.Sequential(reader, head), cross_entropy, Sgd(0.1))

The library `transformers` is asked for models alone; adapting is Pliant's own.
"""

import inspect
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from meta.language.packaged import PACKAGED, locate, needed
from policies.reader import Reader

_BATCH = 64
"""Texts that are read together."""
_NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]{0,95}")
"""A model's name at its hub."""
_BROKEN = (
    *(OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError),
    SafetensorError,
)
"""Errors of `transformers` over files that it cannot make a model of."""


class LanguageModel:
    """A frozen transformer with its tokenizer.

    Args:
        model: a model of `transformers` with `config.num_hidden_layers` layers in a
            list, and attention that is not fused (`attn_implementation="eager"`).
        tokenizer: that of the model.

    Raises:
        ValueError: if there is no such list, or attention is fused.
    """

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:  # noqa: ANN401
        self.model = model.eval()
        self.tokenizer = tokenizer
        config: Any = model.config
        if getattr(config, "_attn_implementation", None) != "eager":
            raise ValueError(
                f"{type(model).__name__} has fused attention, through which no second "
                'gradient goes: load it with attn_implementation="eager"'
            )
        config.use_cache = False
        depth = config.num_hidden_layers
        lists = [m for m in model.modules() if isinstance(m, nn.ModuleList)]
        if not (found := [m for m in lists if len(m) == depth]):
            raise ValueError(f"{type(model).__name__} has no list of {depth} layers")
        self.layers = found[0]
        """Its layers, from the lowest."""

    def reader(
        self,
        texts: Sequence[str],
        *,
        adapt: int = 2,
        tokens: int = 32,
        length: float = 8.0,
    ) -> Reader:
        """Read texts, and return what is left to do: the upper layers, and the mean.

        Args:
            texts: what will be asked for, by number.
            adapt: layers at the upper end that are kept for adapting.
            tokens: length at which texts are cut off.
            length: of the features; see `Reader`.

        Raises:
            ValueError: if there are not so many layers, no texts, or an empty one.
        """
        if not 1 <= adapt <= len(self.layers):
            raise ValueError(
                f"need 1 <= adapt <= the model's {len(self.layers)} layers, got {adapt}"
            )
        asked = {"truncation": True, "max_length": tokens}
        read = self.tokenizer(list(texts), **asked)["input_ids"] if texts else []
        if not all(read) or not read:
            raise ValueError("need texts of at least one token each")
        count = torch.tensor([len(ids) for ids in read])
        tokens = int(count.max())
        first = len(self.layers) - adapt
        hidden: Tensor | None = None
        for rows in count.argsort().split(_BATCH):
            states, _ = self._reached([read[i] for i in rows.tolist()], first)
            if hidden is None:
                hidden = states.new_zeros(len(read), tokens, states.shape[-1])
            hidden[rows, : states.shape[1]] = states
        assert hidden is not None
        hidden *= (torch.arange(tokens) < count[:, None])[..., None]
        _, called = self._reached([[0] * tokens], first)
        layers = [HostedLayer(layer, called) for layer in self.layers[first:]]
        return Reader(hidden, count, layers, length=length)

    @torch.no_grad()
    def _reached(
        self, texts: Sequence[Sequence[int]], first: int
    ) -> tuple[Float[Tensor, "text token feature"], dict[str, Any]]:
        """Return the hidden states below a layer, and what else it is called with."""
        layer, found = self.layers[first], dict[str, Any]()
        ids = [torch.tensor(text) for text in texts]

        def stop(_: nn.Module, args: Any, kwargs: Any) -> None:  # noqa: ANN401
            bound = inspect.signature(layer.forward).bind(*args, **kwargs).arguments
            extra = bound.pop("kwargs", {})
            found.update({**bound, **extra})
            raise _ReachedError

        handle = layer.register_forward_pre_hook(stop, with_kwargs=True)
        with suppress(_ReachedError):
            self.model(
                input_ids=pad_sequence(ids, batch_first=True),
                attention_mask=pad_sequence([torch.ones_like(i) for i in ids], True),
            )
        handle.remove()
        return found.pop(next(iter(found))), found


class HostedLayer(nn.Module):
    """A layer of a model of `transformers`, called as `policies.reader.Layer`.

    Args:
        layer: the layer.
        called: what its model calls it with for a text of full length, beside the
            hidden states, by name.

    Raises:
        ValueError: if the layer takes no additive mask named `attention_mask`.
    """

    def __init__(self, layer: nn.Module, called: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer = layer
        self.called = dict(called)
        mask = self.called.pop("attention_mask", False)
        if mask is False or (mask is not None and not mask.is_floating_point()):
            raise ValueError(f"{type(layer).__name__} takes no additive mask")
        self.mask: Tensor | None = mask
        """Added to the attention of a text of full length."""

    def forward(
        self,
        hidden: Float[Tensor, "text token feature"],
        real: Bool[Tensor, "text token"],
    ) -> Float[Tensor, "text token feature"]:
        """Return the hidden states above the layer."""
        own = hidden.new_zeros(()) if self.mask is None else self.mask.to(hidden)
        lowest = torch.finfo(hidden.dtype).min
        mask = torch.where(real[:, None, None], own, lowest)
        called = {name: _beside(value, hidden) for name, value in self.called.items()}
        out = self.layer(hidden, attention_mask=mask, **called)
        return out[0] if isinstance(out, tuple) else out


class _ReachedError(Exception):
    """The layer is reached: what lies above it need not run."""


def _beside(value: Any, hidden: Tensor) -> Any:  # noqa: ANN401
    """Return an argument of a layer, its tensors on the device of the hidden states."""
    if isinstance(value, tuple):
        return tuple(_beside(part, hidden) for part in value)
    return value.to(hidden.device) if isinstance(value, Tensor) else value


def load_language_model(
    source: str | Path, *, layers: int | None = None
) -> LanguageModel:
    """Load a language model by its packaged name, its folder, or its name at its hub.

    Args:
        source: one of `meta.language.packaged.PACKAGED`; a folder that `transformers`
            wrote; or a name such as `organisation/model`, which `transformers` looks up
            in its own cache, and then downloads.
        layers: the lowest layers that are kept, if not all: what lies above them is not
            loaded.

    Raises:
        ValueError: if there is no such model, or `transformers` is missing.
    """
    transformers = needed("transformers")
    found = _found(str(source))
    with _in_our_words(str(source)):
        config = transformers.AutoConfig.from_pretrained(found)
        depth = config.num_hidden_layers
    if layers is not None and not 1 <= layers <= depth:
        raise ValueError(f"need 1 <= layers <= the {depth} of {source}, got {layers}")
    config.num_hidden_layers = layers or depth
    with _in_our_words(str(source)):
        model, told = _quietly(
            transformers.AutoModel.from_pretrained,
            found,
            config=config,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(found)
    # an encoder's pooler is not used, and often not stored
    if missing := [k for k in told["missing_keys"] if not k.startswith("pooler.")]:
        raise ValueError(f"{source} lacks the tensors {', '.join(missing[:3])} ...")
    return LanguageModel(model, tokenizer)


def _found(source: str) -> str:
    """Return where a model is: a folder, or its name at its hub.

    Raises:
        ValueError: for what is neither.
    """
    if source in PACKAGED:
        return str(locate(source))
    if source and Path(source).is_dir():
        if not (Path(source) / "config.json").is_file():
            raise ValueError(
                f"no language model in the folder {source}: it has no config.json, "
                "which save_pretrained writes"
            )
        return source
    if near := get_close_matches(source, PACKAGED, n=1, cutoff=0.8):
        raise ValueError(f"no language model {source!r}; did you mean {near[0]}?")
    if not _NAME.fullmatch(source):
        raise ValueError(
            f"no language model {source!r}: give a folder that is there, a name such "
            f"as organisation/model, or a packaged one: {', '.join(PACKAGED)}"
        )
    return source


@contextmanager
def _in_our_words(source: str) -> Generator[None]:
    """Say in a line that a model cannot be loaded, whatever its library says.

    What it says is the error's cause.
    """
    try:
        yield
    except _BROKEN as error:
        if Path(source).exists():
            why = (
                "its files are incomplete or broken, or of a kind that the installed "
                "transformers does not know"
            )
        else:
            why = (
                "it is not in the cache of transformers, and its hub has none of this "
                f"name or cannot be reached; packaged ones: {', '.join(PACKAGED)}"
            )
        raise ValueError(f"no language model {source!r}: {why}") from error


def _quietly(load: Callable[..., Any], *args: Any, **settings: Any) -> Any:  # noqa: ANN401
    """Call a loader of `transformers` without its report of layers left out."""
    logging = needed("transformers.utils.logging")
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return load(*args, **settings)
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()
