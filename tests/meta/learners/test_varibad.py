"""VariBAD: its bound, what it believes of bandits, and an explorer that must ask."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from meta.experience.batch import limit_episodes
from meta.experience.rollout import Experience, by_task, collect, mapped
from meta.learner import Sizes, exploring
from meta.learners.adapter import transitions
from meta.learners.maml_cfg import MamlCfg
from meta.learners.tuning import tune
from meta.learners.varibad import Draws, Varibad, VaribadExplore
from meta.learners.varibad_cfg import VaribadCfg, VaribadExploreCfg
from meta.recipes.registry import make_config
from meta.theta import Theta
from meta.training.build import make_trainer
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import replaced
from meta.training.trained import export_policy, load_trained
from meta.training.trainer import Trainer
from policies.acting import Transition
from policies.gaussian import Gaussian
from policies.mlp import PolicyCfg
from tasks.contract import Step
from tasks.task import Task

BELIEF = {"summary", "head", "decoder", "average", "history"}
TASKS, EPISODES, HORIZON, LATENT = 3, 2, 4, 3
PULLS = 10


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Choices:
    """Worlds without a state, whose choices pay by a secret of the task."""

    obs_dim, action_dim, horizon = 1, 3, 1
    oracle, device, team = False, torch.device("cpu"), 1
    tasks: tuple[Task, ...] = ()

    def __init__(self, worlds: int) -> None:
        self.worlds = worlds

    @property
    def family(self) -> "Choices":
        return self

    def sample(self, split: str, seed: int, count: int) -> list[Tensor]:
        """The first choice pays 1/2; of the others one 1, and one -1."""
        side = torch.randint(2, (count,), generator=seeded(seed % 2**31)) * 2.0 - 1
        return list(torch.stack([torch.full_like(side, 0.5), side, -side], dim=-1))

    def assign(self, tasks: Sequence[Tensor]) -> None:
        self.secret = torch.stack(list(tasks))

    def reset(self, rng: torch.Generator) -> Tensor:
        self.time, self.rng = 0, rng
        return torch.zeros(self.worlds, 1)

    def pay(self, action: Tensor) -> Tensor:
        return (self.secret * action).sum(-1)

    def step(self, action: Tensor) -> Step:
        self.time += 1
        nothing = torch.zeros(self.worlds, dtype=torch.bool)
        return Step(
            obs=torch.zeros(self.worlds, 1),
            reward=self.pay(action),
            terminated=nothing,
            truncated=nothing | (self.time == self.horizon),
            fault=nothing,
            success=nothing,
            terms={},
        )


class Bandit(Choices):
    """Two arms that pay 1 with hidden probabilities, uniform in [0, 1]."""

    action_dim, horizon = 2, PULLS

    def sample(self, split: str, seed: int, count: int) -> list[Tensor]:
        return list(torch.rand(count, 2, generator=seeded(seed % 2**31)))

    def pay(self, action: Tensor) -> Tensor:
        chance = (self.secret * action).sum(-1)
        return (torch.rand(self.worlds, generator=self.rng) < chance).float()


def made(**changes: float) -> tuple[Varibad, Theta]:
    """A learner whose networks have something to say, and moments."""
    settings = VaribadCfg(latent=LATENT, decoded=5, **changes)  # pyright: ignore
    network, sizes = PolicyCfg(hidden=(6,)), Sizes(obs=2, hidden=0, action=1)
    learner = Varibad.build(settings, network, sizes, seeded())
    theta, rng = learner.initial(2), seeded(1)
    for value in theta.values():
        if value.dtype == torch.float32:
            value += 0.4 * torch.randn(value.shape, generator=rng)
    theta["history/count"] += 10.0
    theta["history/square"] += 30.0
    return learner, theta


def lived(episodes: int = EPISODES, seed: int = 0) -> Experience:
    """Random episodes, some of which end before others."""
    rng, shape = seeded(seed), (TASKS, episodes, HORIZON)

    def noise(*more: int) -> Tensor:
        return torch.randn(*shape, *more, generator=rng)

    lengths = torch.randint(1, HORIZON + 1, shape[:2], generator=rng)
    valid = (torch.arange(HORIZON) < lengths[..., None]).float()
    return Experience(
        obs=noise(2),
        next_obs=noise(2),
        action=noise(1),
        old=Gaussian(noise(1), torch.zeros(*shape, 1)),
        reward=noise(),
        valid=valid,
        lived=valid,
    )


def two_phases() -> list[Experience]:
    """Three episodes of which each task adapts on one or two, then two more."""
    counts = torch.tensor([1, 2, 1])
    return [limit_episodes(lived(3), counts), lived(seed=1)]


def groups(theta: Theta) -> dict[str, Theta]:
    found: dict[str, Theta] = {}
    for name, value in theta.items():
        found.setdefault(name.split("/")[0], {})[name] = value.detach().clone()
    return found


def moved(theta: Theta, before: dict[str, Theta]) -> set[str]:
    return {
        kind
        for kind, tensors in before.items()
        if any(not theta[name].equal(value) for name, value in tensors.items())
    }


# -- the bound -----------------------------------------------------------------------


def one_step(e: Experience, task: int, episode: int, time: int) -> Transition:
    at = (slice(task, task + 1), episode, time)
    row = transitions(e)
    return Transition(*(x[at] for x in row))


def test_each_belief_is_paired_with_the_one_a_step_earlier() -> None:
    """As acting sees them step by step, from the prior on."""
    learner, theta = made()
    pre, post = two_phases()
    points = torch.arange((3 + 2) * HORIZON).expand(TASKS, -1)
    with torch.no_grad():
        now, before = learner.beliefs(theta, [pre, post], points)
        assert before.mean[:, 0].eq(0).all()
        assert before.log_std[:, 0].eq(0).all()
        for task in range(TASKS):
            memory = learner.begin(theta, 1)["memory"]
            first = learner.belief(theta, memory)
            torch.testing.assert_close(now.mean[task, :1], first.mean)
            index = 1
            for e in (pre, post):
                kept = memory
                for episode in range(e.valid.shape[1]):
                    within = memory
                    for time in range(HORIZON):
                        was = learner.belief(theta, within)
                        torch.testing.assert_close(
                            before.mean[task, index], was.mean[0], atol=1e-5, rtol=0
                        )
                        step = one_step(e.whole, task, episode, time)
                        taken = learner.summarise(theta, step)
                        within = learner.history.add(within, taken)
                        found = learner.belief(theta, within)
                        for a, b in zip(now, found, strict=True):
                            torch.testing.assert_close(
                                a[task, index], b[0], atol=1e-5, rtol=0
                            )
                        index += 1
                    if e.valid[task, episode].any():
                        kept = kept + (within - memory)
                memory = kept


def test_the_bound_is_likelihood_and_kl_in_closed_form() -> None:
    learner, theta = made()
    both = two_phases()
    draws = learner.draw(both, seeded(4))
    with torch.no_grad():
        unlikely, kl = learner.bound(theta, both, draws)
        now, before = learner.beliefs(theta, both, draws.beliefs)
        pairs = (Normal(b.mean, b.std) for b in (now, before))
        wanted = kl_divergence(*pairs).sum(-1).mean()
        torch.testing.assert_close(kl, wanted)
        # E[log q - log p], by a hundred thousand draws
        one, other = (Normal(b.mean[0, 1], b.std[0, 1]) for b in (now, before))
        torch.manual_seed(0)
        z = one.sample((100_000,))
        ratio = (one.log_prob(z) - other.log_prob(z)).sum(-1)
        exact = now.kl(before)[0, 1]
        assert (ratio.mean() - exact).abs() < 5 * ratio.std() / 100_000**0.5
        total, count = 0.0, 0
        spread = learner.own(theta, "decoder")["log_std"].clamp(min=-3.5066)
        for task in range(TASKS):
            for belief in range(draws.noise.shape[1]):
                z = (
                    now.mean[task, belief]
                    + now.std[task, belief] * draws.noise[task, belief]
                )
                for at in draws.steps[task].tolist():
                    e = both[at >= 3 * HORIZON].whole
                    at -= 3 * HORIZON * (at >= 3 * HORIZON)
                    step = one_step(e, task, at // HORIZON, at % HORIZON)
                    scaled = learner._scaled(theta, step)[0]
                    x = torch.cat([scaled[:2], step.action[0], z])
                    weights = learner.own(theta, "decoder")
                    said = torch.func.functional_call(learner.decoder, weights, (x,))
                    total -= Normal(said.mean, spread.exp()).log_prob(scaled[2:]).sum()
                    count += 1
    torch.testing.assert_close(unlikely, total / count)
    lives = sum(e.whole.valid.sum() for e in both) / TASKS
    loss = learner.objective(theta, both, draws)
    torch.testing.assert_close(loss, unlikely + learner.cfg.kl_weight * kl / lives)


def test_only_steps_that_count_are_drawn() -> None:
    learner, _ = made()
    both = two_phases()
    valid = torch.cat([e.whole.valid.flatten(1) for e in both], 1)
    draws = learner.draw(both, seeded())
    for index in (draws.beliefs, draws.steps):
        assert valid.gather(1, index).all()
    assert draws.noise.shape == (TASKS, 6, LATENT)


def test_runs_of_other_seeds_are_trained_on_other_draws() -> None:
    """At the same iteration, with the same weights and experience."""
    learner, theta = made()
    latent, found = torch.zeros(TASKS, 1, 1, 2 * LATENT), list[Tensor]()
    for seed in (0, 0, 1):
        args = (learner.cfg, learner.policy, 1)
        other = Varibad(*args, hidden=6, rng=seeded(seed))
        with torch.no_grad():
            found.append(other.error(theta, latent, two_phases()))
    assert found[0].equal(found[1])
    assert not found[0].equal(found[2])


def test_the_gradient_is_that_of_finite_differences() -> None:
    learner, theta = made(averaging=0.0)
    both = two_phases()
    draws = learner.draw(both, seeded(4))
    draws = Draws(draws.beliefs, draws.steps, draws.noise.double())
    for i, e in enumerate(both):
        both[i] = mapped(e, Tensor.double)
    theta = {k: v.double() for k, v in theta.items()}
    leaves = learner.trainable(theta)
    names = [k for k, v in theta.items() if v.requires_grad]
    gradients = torch.autograd.grad(
        learner.objective(theta, both, draws), leaves, allow_unused=True
    )
    rng, step = seeded(7), 1e-6
    for name, gradient in zip(names, gradients, strict=True):
        # the policy has no part in it
        assert (gradient is None) == name.startswith("policy/")
        if gradient is None:
            continue
        way = torch.randn(gradient.shape, generator=rng, dtype=torch.float64)
        ends: list[float] = []
        for sign in (1, -1):
            changed = theta | {name: theta[name].detach() + sign * step * way}
            ends.append(learner.objective(changed, both, draws).item())
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (gradient * way).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_policy_and_belief_are_moved_by_their_own_losses() -> None:
    """No gradient of the policy reaches the encoder, and none of the bound it."""
    trainer = guessing(Varibad, 3)
    trainer.step()
    learner, theta = trainer.learner, trainer.theta
    assert isinstance(learner, Varibad)
    start = learner.begin(theta, 60)
    e = by_task(collect(trainer.env, learner.act(theta, start), seeded()), 60)
    before = groups(theta)
    tune(learner, theta, trainer.optimizer, [(start, e)], rate=1.0)
    assert moved(theta, before) == {"policy"}
    before = groups(theta)
    learner.learn_to_infer(theta, trainer.optimizer, [e, e])
    assert moved(theta, before) == BELIEF | {"moments"}


def test_the_error_is_what_likelihood_has_of_the_belief() -> None:
    """It is of later episodes alone; the same ones, whatever is asked about."""
    learner, theta = made()
    pre, post = two_phases()
    with torch.no_grad():
        latent = learner.infer(theta, torch.rand(TASKS, 2, 3, learner.history.width))
        found = learner.error(theta, latent, [pre, post])
        assert found.shape == (TASKS, 2, 3)
        other = learner.error(theta, latent[:, :1, 2:], [pre, post])
        torch.testing.assert_close(other, found[:, :1, 2:])
        noisy = pre._replace(reward=pre.reward + 1.0)
        assert learner.error(theta, latent, [noisy, post]).equal(found)
        noisy = post._replace(reward=post.reward + 1.0)
        assert not learner.error(theta, latent, [pre, noisy]).equal(found)


# -- bandits: the posterior is known ---------------------------------------------------


def belief_in_bandits(
    iterations: int, tasks: int, decoded: int, rate: float
) -> tuple[Varibad, Theta]:
    """Belief and decoder, trained on random play alone."""
    acting = MamlCfg(inner_steps=0)
    cfg = VaribadCfg(acting=acting, latent=4, regression_epochs=20, decoded=decoded)
    sizes = Sizes(1, 0, 2, discrete=True)
    learner = Varibad.build(cfg, PolicyCfg(hidden=(32,)), sizes, seeded())
    theta, env = learner.initial(1), Bandit(2 * tasks)
    optimizer = torch.optim.Adam(learner.trainable(theta))
    start = learner.begin(theta, tasks)
    for i in range(iterations):
        drawn = env.sample("train", i, tasks)
        env.assign([task for task in drawn for _ in range(2)])
        optimizer.param_groups[0]["lr"] = rate * (1 - i / iterations)
        rng, act = seeded(1000 + i), learner.act(theta, start)
        both = [by_task(collect(env, act, rng), tasks) for _ in range(2)]  # pyright: ignore
        learner.learn_to_infer(theta, optimizer, both)
    return learner, theta


def foretold(learner: Varibad, theta: Theta, belief: Gaussian) -> Tensor:
    """Return the mean pay of each arm by the decoder, over the belief."""
    mean, count = theta["history/mean"], theta["history/count"]
    deviation = (theta["history/square"] / count).sqrt()
    rows = len(belief.mean)
    obs = torch.zeros(rows, 2, 1) - (mean[:1] / deviation.clamp(min=1e-3)[:1]).float()
    read = torch.cat([obs, torch.eye(2).expand(rows, 2, 2)], dim=-1)
    total, rng = torch.zeros(*belief.mean.shape[:2], 2), seeded(8)
    for _ in range(50):
        z = belief.mean + belief.std * torch.randn(belief.mean.shape, generator=rng)
        total += learner.foretell(theta, read, z).mean[..., -1]
    return (total / 50 * deviation[-1] + mean[-1]).float()


def off_the_posterior(learner: Varibad, theta: Theta) -> tuple[float, float]:
    """Return how far what is foretold is from Bayes, and how far the prior is (RMS)."""
    env = Bandit(400)
    env.assign(env.sample("test", 9999, 400))
    act = learner.act(theta, learner.begin(theta, 400))
    e = by_task(collect(env, act, seeded(7)), 400)  # pyright: ignore

    def before(x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x[:, :1]), x], dim=1).cumsum(1)

    with torch.no_grad():
        memory = before(learner.summarise(theta, transitions(e))[:, 0])
        found = foretold(learner, theta, learner.belief(theta, memory))
    wins = before((e.action * e.reward[..., None])[:, 0])
    pulls = before(e.action[:, 0])
    bayes = (wins + 1) / (pulls + 2)
    return (found - bayes).square().mean().sqrt().item(), (
        (bayes - 0.5).square().mean().sqrt().item()
    )


@cache
def best(left: int, won: tuple[int, int] = (0, 0), lost: tuple[int, int] = (0, 0)):
    """Return the value of the best play of two arms, by dynamic programming."""
    if not left:
        return 0.0
    values: list[float] = []
    for arm in (0, 1):
        more = [tuple(n + (i == arm) for i, n in enumerate(x)) for x in (won, lost)]
        chance = (won[arm] + 1) / (won[arm] + lost[arm] + 2)
        gain = 1 + best(left - 1, more[0], lost)  # pyright: ignore
        values.append(
            chance * gain + (1 - chance) * best(left - 1, won, more[1])  # pyright: ignore
        )
    return max(values)


def trained_on_bandits(iterations: int) -> Trainer:
    acting = MamlCfg(
        inner_steps=0, rate=0.01, epochs=6, discount=1.0, clip=0.2, adapt_episodes=(1,)
    )
    cfg = VaribadCfg(acting=acting, latent=4, decoded=12)
    return run(Varibad, Bandit(200), cfg, 50, iterations, hidden=32)


def run(
    kind: type[Varibad] | type[VaribadExplore],
    env: Choices,
    settings: VaribadCfg | VaribadExploreCfg,
    tasks: int,
    iterations: int,
    hidden: int = 16,
) -> Trainer:
    method = "varibad" if kind is Varibad else "varibad-explore"
    cfg = replace(
        make_config("reach-rotated", method),
        learner=settings,
        tasks=tasks,
        episodes=env.worlds // tasks,
        iterations=iterations,
        measure_rounds=1,
    )
    sizes = Sizes(1, 0, env.action_dim, discrete=True)
    network = PolicyCfg(hidden=(hidden,))
    learner = kind.build(settings, network, sizes, seeded())  # pyright: ignore
    return Trainer(cfg, env, learner)  # pyright: ignore


@pytest.mark.slow
def test_the_decoder_comes_close_to_the_bayes_posterior() -> None:
    off, prior = off_the_posterior(*belief_in_bandits(20, 30, 16, 0.02))
    assert off < 0.08
    assert prior > 0.19


@pytest.mark.proof
def test_the_decoder_comes_to_the_bayes_posterior() -> None:
    off, _ = off_the_posterior(*belief_in_bandits(60, 100, 20, 0.01))
    assert off < 0.03


@pytest.mark.proof
def test_it_comes_close_to_the_best_play_of_a_bandit() -> None:
    trainer = trained_on_bandits(40)
    for _ in range(40):
        trainer.step()
    learner, theta, env = trainer.learner, trainer.theta, Bandit(4000)
    env.assign(env.sample("test", 99, 4000))
    act = learner.act(theta, learner.begin(theta, 4000))
    earned = collect(env, act, seeded(5), explore=False).returns  # pyright: ignore
    assert 0.98 * best(PULLS) < earned.mean() < 1.02 * best(PULLS)
    forgetful = act._replace(watch=lambda memory, _: memory)  # pyright: ignore
    env.assign(env.sample("test", 99, 4000))
    blind = collect(env, forgetful, seeded(5), explore=False).returns  # pyright: ignore
    assert blind.mean() < 0.9 * best(PULLS)


# -- planted truth: it pays to ask, and acting does not tell ---------------------------


def guessing(
    kind: type[Varibad] | type[VaribadExplore], iterations: int = 30
) -> Trainer:
    """A run on a choice that is safe and tells nothing, and two that tell."""
    acting = MamlCfg(inner_steps=0, rate=0.01, epochs=6, adapt_episodes=(1, 2))
    settings = VaribadCfg(
        acting=acting,
        latent=2,
        regression_epochs=10,
        decoded=10,
        averaging=0.5,
    )
    if kind is VaribadExplore:
        settings = VaribadExploreCfg(adapter=settings)
    return run(kind, Choices(240), settings, 60, iterations)


def played(trainer: Trainer) -> tuple[float, float]:
    """Return what an episode earns that is adapted on, and one after it."""
    learner, theta, env = trainer.learner, trainer.theta, Choices(400)
    env.assign(env.sample("test", 77, 400))
    start = learner.begin(theta, 400)
    asked = collect(env, exploring(learner, theta, start), seeded(3))  # pyright: ignore
    adapted = learner.adapt(theta, start, by_task(asked, 400))
    after = collect(env, learner.act(theta, adapted), seeded(4), explore=False)  # pyright: ignore
    return asked.returns.mean().item(), after.returns.mean().item()


def test_the_explorer_asks_where_acting_does_not_tell() -> None:
    """Safe play tells nothing and earns 1/2; who guessed once earns 1 from then on."""
    trainer = guessing(VaribadExplore)
    told = [trainer.step().get("told", 0.0) for _ in range(30)]
    asked, after = played(trainer)
    # a guess pays 1 or -1: by chance, a guess for each task
    assert abs(asked) < 0.2
    assert after > 0.95
    assert told[-1] > 0.8


def test_without_an_explorer_nothing_is_asked() -> None:
    trainer = guessing(Varibad)
    for _ in range(30):
        trainer.step()
    asked, after = played(trainer)
    assert asked > 0.35
    assert after < 0.6


def test_the_explorer_comes_once_there_is_something_to_ask() -> None:
    trainer = guessing(VaribadExplore, iterations=20)
    stages = [trainer.learner.stage(i / 20)[0] for i in range(20)]
    assert [type(s) for s in stages] == 3 * [Varibad] + 17 * [VaribadExplore]


# -- files ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["varibad", "varibad-explore"])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(
    method: str, tmp_path: Path
) -> None:
    small = {"tasks": 3, "episodes": 3, "adapt_episodes": (1, 3), "hidden": (8,)}
    small |= {"iterations": 4, "epochs": 2, "regression_epochs": 2, "threads": 1}
    cfg = replaced(make_config("reach-rotated", method), small)
    assert not cfg.privileged
    whole = make_trainer(cfg)
    for _ in range(3):
        whole.step()
    save_checkpoint(tmp_path / "checkpoint.safetensors", whole)
    resumed = resume_trainer(tmp_path / "checkpoint.safetensors")
    assert whole.step() == resumed.step()
    for name, value in whole.theta.items():
        assert resumed.theta[name].equal(value), name
    export_policy(str(tmp_path), tmp_path / "policy.safetensors")
    obs = torch.randn(9, 5)
    for source in (tmp_path, tmp_path / "policy.safetensors"):
        loaded = load_trained(str(source)).begin(3)
        same = loaded.explore(obs).mode.equal(loaded.act(obs).mode)
        assert same == (method == "varibad")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latent": 0}, "need 1 <= latent <= 4,096, got 0"),
        ({"decoded": 0}, "need 1 <= decoded <= 4,096, got 0"),
        ({"kl_weight": -1.0}, "need kl_weight >= 0, got -1.0"),
        ({"averaging": 1.0}, "0 <= averaging < 1"),
        ({"regression_epochs": 0}, "need 1 <= regression_epochs"),
        ({"acting": MamlCfg(inner_steps=1)}, "adapts by nothing else"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VaribadCfg(**changes)
