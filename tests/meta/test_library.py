"""The library of earlier tasks: what is near, what goes first, and what is on disk."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.spatial import KDTree

from meta.experience.rollout import Experience, some_episodes
from meta.library.embedding import (
    Embedding,
    features_after,
    fit_embedding,
    joined,
    live_with,
    relevant_components,
)
from meta.library.library import Library
from meta.library.recall import keep, recall
from meta.library.shelf import load_library, save_library
from meta.training.trained import Trained, load_trained
from policies.gaussian import Gaussian
from tasks.registry import find_family, make_env


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(dim: int = 2, most: int = 100) -> Library:
    """A library whose points are the features themselves."""
    embedding = Embedding(
        mean=torch.zeros(dim).double(),
        projection=torch.eye(dim).double(),
        nearest=torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]),
    )
    return Library(embedding=embedding, policy="p", checksum="c" * 64, most=most)


def lived(tasks: int, episodes: int = 2, seed: int = 0) -> Experience:
    g = rng(seed)

    def x(*width: int) -> torch.Tensor:
        return torch.randn(tasks, episodes, 3, *width, generator=g)

    valid = torch.ones(tasks, episodes, 3)
    return Experience(x(4), x(4), x(1), Gaussian(x(1), x(1)), x(), valid)


def put(library: Library, points: list[list[float]], episodes: int = 2) -> None:
    n, first = len(points), len(library)
    numbers = first + torch.arange(float(n))
    adaptation = {"w": numbers[:, None, None].repeat(1, 2, 3)}
    notes = [str(first + i) for i in range(n)]
    library.add(
        torch.tensor(points, dtype=torch.float32),
        adaptation,
        lived(n, episodes, seed=first),
        notes,
    )


def notes(library: Library) -> list[str]:
    return [entry.note for entry in library.entries]


def test_nearest_entries_are_a_trees() -> None:
    library = plain(dim=5, most=300)
    points = torch.randn(200, 5, generator=rng())
    put(library, points.tolist())
    queries = torch.randn(30, 5, generator=rng(1))
    found = library.nearest(queries, 4)
    answer = KDTree(points.numpy()).query(queries.numpy(), 4)
    distance, index = (np.asarray(x) for x in answer)
    assert found.entry.tolist() == index.tolist()
    np.testing.assert_allclose(found.distance.numpy(), distance, rtol=1e-5)
    # an entry that lies elsewhere is another's adaptation
    assert library.adaptation(found.entry[:, 0])["w"][:, 0, 0].tolist() == [
        float(i) for i in index[:, 0]
    ]


def test_points_that_nearly_coincide_are_told_apart() -> None:
    library = plain()
    put(library, [[1000.0, 0.0], [1000.001, 0.0]])
    near = library.nearest(torch.tensor([[1000.0009, 0.0]] * 30))
    assert near.entry.unique().tolist() == [1]


def test_of_near_duplicates_the_older_goes() -> None:
    library = plain(most=3)
    put(library, [[10, 0], [0, 0], [0.1, 0]])
    assert notes(library) == ["0", "1", "2"]
    put(library, [[50, 0]])  # 1 and 2 are the closest pair
    assert notes(library) == ["0", "2", "3"]


def test_budget_keeps_what_brute_force_keeps() -> None:
    points = torch.randn(60, 3, generator=rng())
    library = plain(dim=3, most=12)
    put(library, points.tolist())
    left: list[int] = []
    for i in range(60):
        left.append(i)
        if len(left) > 12:
            away = torch.cdist(points[left], points[left]).fill_diagonal_(torch.inf)
            del left[int(away.min(1).values.argmin())]
    assert [e.adaptation["w"][0, 0, 0].item() for e in library.entries] == left
    assert torch.equal(library.points, points[left])


@pytest.mark.parametrize("most", [1, 2])
def test_smallest_budgets(most: int) -> None:
    library = plain(most=most)
    put(library, [[0, 0], [1, 0], [5, 0]])
    assert notes(library) == ["2"] if most == 1 else ["1", "2"]


def test_what_cannot_be_kept_or_sought_is_refused() -> None:
    library = plain()
    with pytest.raises(ValueError, match="an entry"):
        library.nearest(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="not finite"):
        put(library, [[float("nan"), 0]])
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        put(library, [[0, 0, 0]])
    with pytest.raises(ValueError, match="as many"):
        library.add(torch.zeros(2, 2), {"w": torch.zeros(1, 1)}, lived(2))
    for most in (0, True):
        with pytest.raises(ValueError, match=f"at least 1, got most={most}"):
            plain(most=most)
    assert len(library) == 0


def test_disk_gives_back_what_was_saved(tmp_path: Path) -> None:
    library = plain(most=7)
    put(library, [[0, 0], [3, 4]], episodes=2)
    put(library, [[9, 9]], episodes=5)
    save_library(library, tmp_path)
    read = load_library(tmp_path)
    assert (read.policy, read.checksum, read.most) == ("p", "c" * 64, 7)
    assert notes(read) == ["0", "1", "2"]
    assert torch.equal(read.points, library.points)
    assert torch.equal(read.embedding.nearest, library.embedding.nearest)
    for a, b in zip(library.entries, read.entries, strict=True):
        assert torch.equal(a.adaptation["w"], b.adaptation["w"])
        assert torch.equal(a.experience.obs, b.experience.obs)
        assert torch.equal(a.experience.old.whole().mean, b.experience.old.mean)
        assert torch.equal(a.experience.valid, b.experience.valid)
    # the index of neighbours is made again: the next to go is the same
    for one in (library, read):
        one.most = 3
        put(one, [[3, 4.5]])
    assert notes(library) == notes(read) == ["0", "2", "3"]
    save_library(read, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # what is no longer named is gone


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    own, other = tmp_path / "library.json", tmp_path / "entries-mine.safetensors"
    own.write_text('{"my": 1}')
    other.write_text("mine")
    with pytest.raises(ValueError, match=r"library.json has format None"):
        save_library(plain(), tmp_path)
    assert own.read_text() == '{"my": 1}'
    own.unlink()
    library = plain()
    for count in (1, 2):
        put(library, [[float(count), 0.0]])
        save_library(library, str(tmp_path))
        assert len(load_library(str(tmp_path))) == count
        assert len(list(tmp_path.iterdir())) == 3
    assert other.read_text() == "mine"


def test_empty_library_on_disk(tmp_path: Path) -> None:
    save_library(plain(), tmp_path)
    assert len(load_library(tmp_path)) == 0


def broken(folder: Path, how: str) -> str:
    """Break a library's files, and return the name of the file that is broken."""
    index = folder / "library.json"
    tensors = next(folder.glob("entries-*"))
    raw = json.loads(index.read_text())
    match how:
        case "truncated tensors":
            tensors.write_bytes(tensors.read_bytes()[:-7])
            return tensors.name
        case "one bit":
            content = bytearray(tensors.read_bytes())
            content[-1] ^= 1
            tensors.write_bytes(content)
            return tensors.name
        case "truncated JSON":
            index.write_text(index.read_text()[:-20])
        case "another JSON":
            index.write_text("[1, 2]")
        case "another format":
            index.write_text(json.dumps(raw | {"format": "pliant-2"}))
        case "a path":
            index.write_text(json.dumps(raw | {"tensors": "../../etc/passwd"}))
        case "a lacking field":
            del raw["most"]
            index.write_text(json.dumps(raw))
        case _:
            index.write_text(json.dumps(raw | {"episodes": [2, -2]}))
    return index.name


@pytest.mark.parametrize(
    "how",
    [
        *("truncated tensors", "one bit", "truncated JSON", "another JSON"),
        *("another format", "a path", "a lacking field", "other counts"),
    ],
)
def test_broken_files_are_named(how: str, tmp_path: Path) -> None:
    library = plain()
    put(library, [[0, 0], [3, 4]])
    save_library(library, tmp_path)
    name = broken(tmp_path, how)
    with pytest.raises(ValueError, match=name.replace(".", r"\.")) as refused:
        load_library(tmp_path)
    # a file elsewhere is not even opened
    assert ("names a file" in str(refused.value)) == (how == "a path")


@pytest.mark.parametrize("drop", ["points", "experience/obs", "embedding/mean"])
def test_foreign_tensors_under_a_right_checksum_are_named(
    drop: str, tmp_path: Path
) -> None:
    library = plain()
    put(library, [[0, 0], [3, 4]])
    save_library(library, tmp_path)
    index = tmp_path / "library.json"
    raw = json.loads(index.read_text())
    path = tmp_path / raw["tensors"]
    kept = {k: v for k, v in load_file(path).items() if k != drop}
    save_file(kept, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    index.write_text(json.dumps(raw | {"sha256": digest}))
    with pytest.raises(ValueError, match="is no library's"):
        load_library(tmp_path)


def test_experience_of_unequal_length_is_filled_up() -> None:
    library = plain()
    put(library, [[0, 0]], episodes=1)
    put(library, [[1, 0]], episodes=3)
    e = library.experience(torch.tensor([0, 1]))
    assert e.valid.sum((1, 2)).tolist() == [3, 9]
    both = joined([lived(2, 2), e], axis=1)
    assert both.valid.shape == both.whole.valid.shape == (2, 5, 3)


def test_spread_of_lives_is_white_and_scale_does_not_matter() -> None:
    """Planted: tasks differ in one feature, and lives in another, a hundred times."""
    g = rng()
    tasks = torch.randn(400, 1, generator=g)
    noise = torch.randn(6, 400, 3, generator=g) * torch.tensor([0.5, 100.0, 1.0])
    x = noise + torch.cat([tasks, 0 * tasks, 0 * tasks], 1)
    for scale in (1.0, 1e3):
        scaled = x * torch.tensor([scale, 1.0, 1.0])
        mean, projection = relevant_components(scaled[:2], scaled, 1)
        y = ((scaled.double() - mean) @ projection)[..., 0]
        within = (y - y.mean(0)).square().sum() / (5 * 400)
        assert within.item() == pytest.approx(1, abs=0.02)
        rho = np.corrcoef(y.mean(0).numpy(), tasks[:, 0].numpy())[0, 1]
        assert abs(rho) > 0.9


def test_threshold_is_the_quantile() -> None:
    embedding = plain().embedding
    assert embedding.threshold(1, 1.0) == 5
    assert embedding.threshold(9, 0.5) == 3
    for wrong in ((0, 0.5), (1, 0.0), (1, 1.1)):
        with pytest.raises(ValueError, match="quantile"):
            embedding.threshold(*wrong)


@pytest.fixture(scope="module", params=["insert", "insert-explore"])
def policy(request: pytest.FixtureRequest) -> Trained:
    return load_trained(f"shipped:{request.param}")


@pytest.fixture(scope="module")
def embedding(policy: Trained) -> Embedding:
    return fit_embedding(policy, tasks=24, episodes=2, dim=4, threads=1)


def test_shipped_policies_find_a_task_again(
    policy: Trained, embedding: Embedding, tmp_path: Path
) -> None:
    family = find_family("insert")
    tasks = family.sample("held-out", 0, 12)
    env = make_env(family, worlds=36, threads=1)
    env.assign([task for task in tasks for _ in range(3)])
    library = Library.of(policy, embedding)
    adapted = keep(library, policy, env, seed=1)
    assert notes(library) == [task.hash for task in tasks]
    save_library(library, tmp_path)
    again = recall(load_library(tmp_path), policy, env, seed=2, quantile=1.0)
    assert (again.entry == torch.arange(12)).float().mean() >= 0.5  # chance is 1/12
    right = int((again.entry == torch.arange(12)).nonzero()[0])
    for k, v in again.adapted.adaptation.items():
        expected = adapted if again.known[right] else again.own
        assert torch.equal(v[right], expected.adaptation[k][right])
    twice = recall(library, policy, env, seed=2, quantile=1.0)
    assert torch.equal(twice.distance, again.distance)


def test_nothing_near_is_no_entry(policy: Trained, embedding: Embedding) -> None:
    family = find_family("insert")
    env = make_env(family, worlds=4, threads=1)
    env.assign(family.sample("held-out", 0, 4))
    library = Library.of(policy, embedding)
    keep(library, policy, env)
    alone = Library.of(policy, embedding)
    first = library.entries[0]
    far = first.point[None] + 1e6
    alone.add(far, first.adaptation, first.experience)
    for mix in (False, True):
        found = recall(alone, policy, env, mix=mix)
        assert not found.known.any()
        for k, v in found.own.adaptation.items():
            assert torch.equal(found.adapted.adaptation[k], v)


def test_joined_experience_is_that_of_one_life(policy: Trained) -> None:
    family = find_family("insert")
    tasks = family.sample("held-out", 0, 3)
    whole = live_with(policy, family, tasks, 3, seed=0, threads=1)
    pieces = [some_episodes(whole, slice(1)), some_episodes(whole, slice(1, 3))]
    expected = features_after(policy, whole, slice(3))
    found = features_after(policy, joined(pieces, axis=1), slice(3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_embedding_is_the_same_again(policy: Trained, embedding: Embedding) -> None:
    again = fit_embedding(policy, tasks=24, episodes=2, dim=4, threads=1)
    assert torch.equal(again.projection, embedding.projection)
    assert torch.equal(again.nearest, embedding.nearest)


def test_tasks_drawn_twice_are_told_apart_by_their_place(
    policy: Trained, embedding: Embedding
) -> None:
    """Equal tasks side by side are one, and elsewhere are others."""
    first, second = find_family("insert").sample("held-out", 0, 2)
    env = make_env(find_family("insert"), worlds=4, threads=1)
    env.assign([first, second, first, second])
    library = Library.of(policy, embedding)
    with pytest.raises(ValueError, match="nothing to recall"):
        recall(library, policy, env)
    keep(library, policy, env)
    assert len(library) == 4
    assert recall(library, policy, env).entry.shape == (4,)


def test_embedding_needs_tasks_that_differ_and_a_policy_that_remembers() -> None:
    two = load_trained("shipped:cheetah-direction")
    with pytest.raises(ValueError, match="are 2 different ones"):
        fit_embedding(two, tasks=10, episodes=1)
    forgetful = load_trained("shipped:push-rma")
    learner = replace(forgetful.cfg.learner, forgets=True)
    forgetful = replace(forgetful, cfg=replace(forgetful.cfg, learner=learner))
    with pytest.raises(ValueError, match="trained with forgets"):
        fit_embedding(forgetful)


def test_other_policies_are_refused(policy: Trained, embedding: Embedding) -> None:
    library = Library.of(policy, embedding)
    other = load_trained("shipped:insert-rma")
    with pytest.raises(ValueError, match="cannot act with"):
        library.check(other)
    with pytest.raises(ValueError, match="does not adapt"):
        Library.of(load_trained("shipped:insert-dr"), embedding)
