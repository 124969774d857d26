"""LoRA: what it changes, what it leaves, and a reader's features."""

import copy

import pytest
import torch
from torch import nn

from policies.lora import LoraLinear, add_lora, freeze, merge_lora
from policies.reader import Reader


def network() -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(5, 5, bias=False), nn.LayerNorm(5))
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), inner, nn.Linear(5, 2)).double()


def moved(module: nn.Module) -> nn.Module:
    """The module, its parameters no longer where they began."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p += torch.randn(p.shape, generator=rng, dtype=p.dtype) / 3
    return module


X = torch.linspace(-1, 1, 12, dtype=torch.double).view(4, 3)


def test_it_begins_as_the_network_that_it_changes() -> None:
    plain, changed = network(), network()
    add_lora(changed, rank=2)
    assert torch.equal(changed(X), plain(X))
    assert not torch.allclose(moved(changed)(X), plain(X), atol=0.1)


def test_the_changes_are_all_that_is_learned_and_stored() -> None:
    changed = network()
    assert add_lora(changed, ["0", "2"], rank=2) == ["0", "2.0"]
    names = {"0.down", "0.up", "2.0.down", "2.0.up"}
    assert {name for name, _ in changed.named_parameters()} == names
    assert set(changed.state_dict()) == names
    assert isinstance(changed[3], nn.Linear)  # frozen, as it was not named
    changed(X).sum().backward()
    assert all(p.grad is not None for p in changed.parameters())


def test_merging_it_is_applying_it() -> None:
    changed = network()
    add_lora(changed, rank=2, scale=0.7)
    expected = moved(changed)(X)
    merged = copy.deepcopy(changed)
    merge_lora(merged)
    assert not any(isinstance(m, LoraLinear) for m in merged.modules())
    torch.testing.assert_close(merged(X), expected)
    layer = changed[0]
    assert isinstance(layer, LoraLinear)
    by_hand = layer.frozen + 0.7 * layer.up @ layer.down
    torch.testing.assert_close(merged[0].weight, by_hand)


def test_code_that_reads_the_weights_reads_the_changed_ones() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 2, batch_first=True).double()
    add_lora(attention, ["out_proj"], rank=2)
    moved(attention.out_proj)
    x = torch.randn(2, 3, 4, dtype=torch.double)
    found, _ = attention(x, x, x)
    merge_lora(attention)
    torch.testing.assert_close(found, attention(x, x, x)[0])


def test_what_cannot_be_changed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'q_proj'; there are: 0, 2\.0, 3"):
        add_lora(network(), ["q_proj"])
    with pytest.raises(ValueError, match="Tanh holds no linear layer"):
        add_lora(nn.Tanh())
    twice = network()
    add_lora(twice)
    with pytest.raises(ValueError, match="Sequential has low-rank changes already"):
        add_lora(twice, ["0"])
    with pytest.raises(ValueError, match="rank >= 1, got 0"):
        add_lora(network(), rank=0)


def test_what_is_frozen_computes_as_before() -> None:
    plain, frozen = network(), network()
    freeze(frozen)
    assert list(frozen.parameters()) == []
    assert torch.equal(frozen(X), plain(X))


class Shifted(nn.Module):
    """A layer that adds what it is told, and looks at what is real."""

    def forward(self, hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        assert real.dtype == torch.bool
        return hidden + torch.tensor([1.0, 0.0, -1.0])


def test_features_are_the_mean_direction_of_real_tokens() -> None:
    hidden = torch.tensor(
        [[[4.0, 1.0, 1.0], [1.0, 4.0, 1.0]], [[0.0, 7.0, 2.0], [9.0, 9.0, 0.0]]]
    )
    reader = Reader(hidden, torch.tensor([2, 1]), [], length=3.0)
    found = reader(torch.tensor([0, 1, 0]))
    # [2, -1, -1] and [-1, 2, -1], of equal lengths, point to [1, 1, -2]
    expected = torch.tensor([1.0, 1.0, -2.0]) * 3 / 6**0.5
    torch.testing.assert_close(found[0], expected)
    assert torch.equal(found[0], found[2])
    only = torch.tensor([-3.0, 4.0, -1.0])
    torch.testing.assert_close(found[1], 3 * only / only.norm())
    shifted = Reader(hidden, torch.tensor([2, 1]), [Shifted()])
    assert not torch.allclose(shifted(torch.tensor([0])), 8 / 3 * found[:1])
