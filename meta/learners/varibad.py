"""VariBAD: a belief learned from what comes next, and a policy that acts on it.

A latent m stands for the task. An encoder says a belief q(m | steps so far), a Gaussian
with its own means and deviations, and a decoder foretells change of the observation and
reward of any step of the trial, earlier or later, from m, observation and action. Both
are trained on the bound of Zintgraf et al. 2020 (arXiv 1910.08348, eq. 8 to 10)

    E_q(m | steps to t) [ sum over steps i of the trial  log p(o', r_i | o_i, a_i, m) ]
    - KL( q(m | steps to t) || q(m | steps to t-1) ),   q before any step: N(0, 1)

at beliefs t and steps i that are drawn anew for each step of Adam. Nothing hidden is
observed. The policy reads mean and log deviation of the belief, and learns by PPO; its
gradient does not reach the encoder.

In three things this is not the published method. The encoder is the adapter's mean over
steps (`adapter.py`), not a recurrent network. Adapting episodes are folded into it at
once, so that no KL holds the belief after them to the one before. And PPO's return is
that of an episode: an explorer is paid for what it is worth for later ones.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience.moments import fresh_moments, update_moments
from meta.experience.rollout import Experience
from meta.learner import Metrics, Sizes
from meta.learners.adapter import Adapter, sums_before, transitions
from meta.learners.critic import CRITIC, Critic
from meta.learners.explore import Explore
from meta.learners.tuning import tune
from meta.learners.varibad_cfg import VaribadCfg, VaribadExploreCfg
from meta.machine.distributed import averaged
from meta.machine.seeds import derived_generator
from meta.theta import Theta, module_params, prefixed
from policies.distribution import parts
from policies.gaussian import Gaussian
from policies.mlp import MlpPolicy, PolicyCfg
from policies.privileged import PrivilegedPolicy

_SHARPEST, _WIDE = 5.0, 2.0
"""Bound on how far the log deviation of a belief is below the prior's, and how little
of that an untrained one takes up."""
_LEAST_NOISE = 0.03
"""Least deviation that the decoder claims, in standard deviations of what it tells."""


class Draws(NamedTuple):
    """Beliefs and steps of an iteration that the bound is estimated at."""

    beliefs: Int[Tensor, "task belief"]
    """Steps after which, counted through all episodes of both phases."""
    steps: Int[Tensor, "task step"]
    """Steps that are foretold, counted in the same way."""
    noise: Float[Tensor, "task belief_1 latent"]
    """Standard normal; first that of the belief before any step."""


class Varibad(Adapter[VaribadCfg]):
    """The learner: a belief, its decoder, and a policy that acts on it.

    Args:
        cfg: how it is trained.
        policy: reads observation, means and log deviations.
        action_dim: action components, or choices.
        hidden: width of all hidden layers but the policy's.
        rng: where the weights are drawn from; its seed is that of training's draws.
    """

    title: ClassVar[str] = "VariBAD"
    settings: ClassVar[type[VaribadCfg]] = VaribadCfg

    @classmethod
    def build(
        cls,
        settings: VaribadCfg,
        network: PolicyCfg,
        sizes: Sizes,
        rng: torch.Generator,
    ) -> "Varibad":
        """Make one; see `LearnerClass.build`."""
        policy = PrivilegedPolicy(
            sizes.obs,
            2 * settings.latent,
            sizes.action,
            network,
            latent=0,
            rng=rng,
            discrete=sizes.discrete,
        )
        own = cls(settings, policy, sizes.action, hidden=network.hidden[-1], rng=rng)
        own.critic = Critic.build(settings.acting, sizes.obs, network, sizes, rng)
        return own

    def __init__(
        self,
        cfg: VaribadCfg,
        policy: PrivilegedPolicy,
        action_dim: int,
        *,
        hidden: int,
        rng: torch.Generator,
    ) -> None:
        super().__init__(
            cfg, policy, action_dim, inferred=policy.latent_dim, hidden=hidden, rng=rng
        )
        self._seed = rng.initial_seed()
        layers, n = (hidden, hidden), policy.obs_dim
        network = PolicyCfg(hidden=layers, initial_std=1.0, min_std=_LEAST_NOISE)
        self.decoder = MlpPolicy(n + action_dim + cfg.latent, n + 1, network, rng)

    def stage(self, progress: float) -> tuple["Varibad", float]:
        """Return itself, and the fraction of training that remains."""
        return self, 1 - progress

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules that learn to infer, by their groups in theta."""
        return super().parts() | {"decoder": self.decoder}

    def initial(self, obs_dim: int) -> Theta:
        """Return untrained parameters and fresh moments."""
        theta = prefixed("policy", module_params(self.policy))
        return theta | self.untrained() | fresh_moments(2 * obs_dim + 1)

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return all parameters."""
        acting = [k for k in theta if k.startswith(("policy/", f"{CRITIC}/"))]
        return [theta[k].requires_grad_() for k in acting] + self.leaves(theta)

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Improve the policy in all of its episodes, then the belief it acted on."""
        adapting, measuring = experiences
        start = self.begin(theta, len(adapting.valid))
        adapted = self.adapt(theta, start, adapting)
        phases = [(start, adapting.whole), (adapted, measuring)]
        metrics = tune(self, theta, optimizer, phases, rate=1.0)
        return metrics | self.learn_to_infer(theta, optimizer, experiences)

    def learn_to_infer(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Raise the bound: encoder and decoder foretell the trials."""
        self.read(theta, experiences[0].whole)
        rng = self._generator(theta)
        with torch.no_grad():
            unlikely, kl = self.bound(theta, experiences, self.draw(experiences, rng))
            unlikely, kl = averaged(unlikely), averaged(kl)

        def loss(own: Theta) -> Float[Tensor, ""]:
            return self.objective(own, experiences, self.draw(experiences, rng))

        self.fit(theta, optimizer, loss)
        # not before: the policy that acted knew other moments
        for e in (e.whole for e in experiences):
            update_moments(theta, self._seen(transitions(e))[e.valid > 0])
        # before this iteration's trials were learned from
        return {"unlikely": unlikely.item(), "belief_kl": kl.item()}

    def objective(
        self, theta: Theta, experiences: Sequence[Experience], draws: Draws
    ) -> Float[Tensor, ""]:
        """Return the negative bound, per step that it foretells."""
        unlikely, kl = self.bound(theta, experiences, draws)
        steps = sum(e.whole.valid.sum(dim=(1, 2)).mean() for e in experiences)
        return unlikely + self.cfg.kl_weight * kl / steps

    def bound(
        self, theta: Theta, experiences: Sequence[Experience], draws: Draws
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return -log p of a step, and the KL of a belief from the one before it."""
        belief, before = self.beliefs(theta, experiences, draws.beliefs)
        latent = belief.mean + belief.std * draws.noise
        read, told = self._laid(theta, experiences, draws.steps)
        said = self.foretell(theta, read, latent)
        log_prob = said.log_prob(told[:, None].expand_as(said.mean))
        return -log_prob.mean(), belief.kl(before).mean()

    def beliefs(
        self,
        theta: Theta,
        experiences: Sequence[Experience],
        after: Int[Tensor, "task belief"],
    ) -> tuple[Gaussian, Gaussian]:
        """Return the belief before any step, then those after some; and before each.

        Before the first there is the prior.
        """
        start = memory = self.begin(theta, len(after))["memory"]
        reached: list[Tensor] = []
        for e in experiences:
            # an episode that is not adapted on still tells what is inferred within it
            steps = self.summarise(theta, transitions(e.whole))
            sums = sums_before(steps)
            both = torch.stack([sums, sums + steps], -2).flatten(1, 2)
            reached.append(self.history.add(memory[:, None, None], both))
            memory = self.remember(theta, memory, steps * e.valid[..., None])
        some = torch.cat(reached, 1).take_along_dim(after[..., None, None], dim=1)
        first = self.belief(theta, start[:, None])
        was, now = (self.belief(theta, some[:, :, i]) for i in (0, 1))
        prior = Gaussian(*map(torch.zeros_like, first))

        def joined(a: Gaussian, b: Gaussian) -> Gaussian:
            return Gaussian(*(torch.cat(x, 1) for x in zip(a, b, strict=True)))

        return joined(first, now), joined(prior, was)

    def belief(self, theta: Theta, memory: Float[Tensor, "*batch memory"]) -> Gaussian:
        """Return the belief that a memory tells of."""
        return Gaussian(*self.infer(theta, memory).chunk(2, dim=-1))

    def infer(
        self, theta: Theta, memory: Tensor, steps: Tensor | None = None
    ) -> Float[Tensor, "*batch latent"]:
        """Return means and log deviations of the belief that a memory tells of."""
        mean, raw = super().infer(theta, memory, steps).chunk(2, dim=-1)
        return torch.cat([mean, -_SHARPEST * (raw - _WIDE).sigmoid()], dim=-1)

    def foretell(
        self,
        theta: Theta,
        read: Float[Tensor, "task step read"],
        latent: Float[Tensor, "task belief latent"],
    ) -> Gaussian:
        """Return change and reward of each step from each latent, both scaled."""
        beliefs, steps = latent.shape[1], read.shape[1]
        wide = latent[:, :, None].expand(-1, -1, steps, -1)
        x = torch.cat([read[:, None].expand(-1, beliefs, -1, -1), wide], dim=-1)
        own = self.own(theta, "decoder")
        mean, log_std = parts(functional_call(self.decoder, own, (x,)))
        assert log_std is not None  # what it tells is never a choice
        return Gaussian(mean, log_std)

    def error(
        self,
        theta: Theta,
        latent: Float[Tensor, "task episode time latent"],
        experiences: Sequence[Experience],
    ) -> Float[Tensor, "task episode time"]:
        """Return half the squared error of what is told of later episodes, in noises.

        It is the part of -log p that depends on the belief, at the belief's mean.
        """
        later = [experiences[-1]]
        draws = self.draw(later, self._generator(theta))
        read, told = self._laid(theta, later, draws.steps)
        mean = latent.chunk(2, dim=-1)[0].flatten(1, 2)
        said = self.foretell(theta, read, mean)
        off = said.noise(told[:, None].expand_as(said.mean))
        return 0.5 * off.square().sum(-1).mean(-1).unflatten(1, latent.shape[1:3])

    def draw(self, experiences: Sequence[Experience], rng: torch.Generator) -> Draws:
        """Draw beliefs and steps, of those that count, with replacement."""
        valid = torch.cat([e.whole.valid.flatten(1) for e in experiences], dim=1)
        count = self.cfg.decoded
        pick = partial(torch.multinomial, valid, count, replacement=True, generator=rng)
        drawn = pick(), pick()
        size = (len(valid), count + 1, self.cfg.latent)
        return Draws(*drawn, torch.randn(size, generator=rng, device=valid.device))

    def _generator(self, theta: Theta) -> torch.Generator:
        """Return the generator of an iteration, known by the steps read until then."""
        count = theta["history/count"]
        return derived_generator(self._seed, int(count.item()), device=count.device)

    def _laid(
        self,
        theta: Theta,
        experiences: Sequence[Experience],
        steps: Int[Tensor, "task step"],
    ) -> tuple[Float[Tensor, "task step read"], Float[Tensor, "task step told"]]:
        """Return observation and action of some steps, and what came of them."""
        rows: list[Tensor] = []
        for e in experiences:
            scaled = self._scaled(theta, transitions(e))
            rows.append(torch.cat([scaled, e.action], dim=-1).flatten(1, 2))
        some = torch.cat(rows, dim=1).take_along_dim(steps[..., None], dim=1)
        n = self.policy.obs_dim
        obs, told, action = some.tensor_split((n, 2 * n + 1), dim=-1)
        return torch.cat([obs, action], dim=-1), told


class VaribadExplore(Explore):
    """VariBAD with an explorer: nothing hidden is observed by either."""

    title: ClassVar[str] = "VariBAD with an explorer"
    settings: ClassVar[type[Any]] = VaribadExploreCfg
    adapting: ClassVar[type[Any]] = Varibad
