"""DR by Stable-Baselines3's own PPO: what our PPO must agree with.

The policy has the architecture of ours, and what it has learned is kept in the names of
ours, so that it is checkpointed, loaded and evaluated like any other. Observations are
scaled by moments that are refreshed between iterations, as ours are.
"""

from collections.abc import Sequence

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from meta.experience.moments import standardised, update_moments
from meta.learner import Learner, Metrics
from meta.machine.distributed import share
from meta.theta import Theta
from meta.training.config import TrainCfg
from tasks.adapters.sb3 import TaskVecEnv
from tasks.contract import Worlds

RATE = 1e-3
"""Step size of Adam at the first iteration, which falls linearly to 0 at the last."""
CRITIC = "critic"
_EPOCHS, _MINIBATCHES, _TRACE = 10, 8, 0.95


class _Scale(BaseFeaturesExtractor):
    """Observations scaled by the moments in theta."""

    def __init__(self, space: gymnasium.Space[np.ndarray], theta: Theta) -> None:
        super().__init__(space, features_dim=gymnasium.spaces.flatdim(space))
        self.theta = theta

    def forward(self, observations: Tensor) -> Tensor:
        return standardised(self.theta, observations)


class Sb3Trainer:
    """A DR run by Stable-Baselines3; between iterations it is theta and the optimiser.

    Every random number is drawn from (seed, iteration).

    Args:
        cfg: what to train; of the learner's settings it reads the discount and clip.
        env: its worlds.
        learner: what the policy is afterwards used as.
    """

    def __init__(self, cfg: TrainCfg, env: Worlds, learner: Learner) -> None:
        if share().size > 1 or env.device.type != "cpu":
            raise ValueError("dr-sb3 trains in one process, on the cpu")
        self.cfg, self.learner = cfg, learner
        self.iteration, self.env_steps = 0, 0
        self.memory: Theta = {}
        self.theta = learner.initial(env.obs_dim)
        self._worlds = TaskVecEnv(env, finite=True)
        self._steps = env.horizon * cfg.phases
        if self._steps * cfg.worlds < 2:
            raise ValueError("dr-sb3 needs at least two env steps an iteration")
        self._ppo = self._make(cfg, {k: v for k, v in self.theta.items()})
        # the tensors that Stable-Baselines3 trains, under our names
        self.theta |= _shared(self._ppo.policy)
        self.optimizer: torch.optim.Optimizer = self._ppo.policy.optimizer

    def _make(self, cfg: TrainCfg, moments: Theta) -> PPO:
        # its own initial weights are drawn from torch's global generator
        torch.manual_seed(cfg.seed)
        batch = _batch_size(self._steps * cfg.worlds)
        ppo = PPO(
            "MlpPolicy",
            self._worlds,
            learning_rate=self._rate,
            n_steps=self._steps,
            batch_size=batch,
            normalize_advantage=batch > 1,  # one sample has no spread to divide by
            n_epochs=_EPOCHS,
            gamma=cfg.learner.discount,
            gae_lambda=_TRACE,
            clip_range=cfg.learner.clip,
            policy_kwargs={
                "net_arch": list(cfg.hidden),
                "activation_fn": nn.Tanh,
                "log_std_init": float(np.log(cfg.initial_std)),
                "features_extractor_class": _Scale,
                "features_extractor_kwargs": {"theta": moments},
            },
            device="cpu",
        )
        ppo.set_logger(Logger(folder=None, output_formats=[]))
        return ppo

    def _std(self) -> float:
        spread = getattr(self._ppo.policy, "log_std", None)  # choices have none
        return 0.0 if spread is None else float(spread.detach().exp().mean())

    def _rate(self, _: object) -> float:
        return RATE * max(0.0, 1 - self.iteration / self.cfg.iterations)

    def step(self) -> Metrics:
        """One iteration: as many env steps as one of ours, then its epochs."""
        entropy = np.random.SeedSequence([self.cfg.seed, self.iteration])
        seeds = entropy.generate_state(2, np.uint32)
        torch.manual_seed(int(seeds[0]))
        np.random.seed(int(seeds[0]))
        self._worlds.restart(int(seeds[1]))
        ppo = self._ppo
        # begins new episodes
        ppo._last_obs = None  # pyright: ignore[reportPrivateUsage]
        for buffer in (ppo.ep_info_buffer, ppo.ep_success_buffer):
            if buffer:
                buffer.clear()
        before = ppo.num_timesteps
        ppo.learn(self._steps * self._worlds.num_envs, reset_num_timesteps=False)
        buffer = ppo.rollout_buffer
        seen = torch.from_numpy(buffer.observations).reshape(
            -1, self._worlds.env.obs_dim
        )
        # features that only adaptation reads have no statistics here: pad with zeros
        width = len(self.theta["moments/mean"])
        update_moments(self.theta, nn.functional.pad(seen, (0, width - seen.shape[1])))
        self.iteration += 1
        self.env_steps += ppo.num_timesteps - before
        episodes: Sequence[dict[str, float]] = list(ppo.ep_info_buffer or [])
        mean = float(np.mean([e["r"] for e in episodes]))
        success = float(np.mean(list(ppo.ep_success_buffer or [])))
        return {
            "env_steps": float(self.env_steps),
            "return_pre": mean,
            "return_post": mean,
            "success_pre": success,
            "success_post": success,
            "faults": float(self._worlds.faults),
            "std": self._std(),
            "loss": float(ppo.logger.name_to_value["train/loss"]),
        }


def _batch_size(steps: int) -> int:
    """Return the size of equal minibatches, `_MINIBATCHES` of them if there can be."""
    counts = range(min(_MINIBATCHES, steps), steps + 1)
    size = steps // next(n for n in counts if steps % n == 0)
    # it standardises advantages within one, which a single step does not allow
    return size if size > 1 else steps


def _shared(policy: nn.Module) -> Theta:
    """Stable-Baselines3's parameters by the names that ours have.

    The value network, which training alone needs, is a group of its own.
    """
    found: Theta = {}
    last = 0
    for name, value in policy.named_parameters():
        place, _, rest = name.partition(".")
        match place:
            case "log_std":
                found["policy/log_std"] = value
            case "mlp_extractor":
                kind, index, part = rest.split(".")
                own = "policy/mean" if kind == "policy_net" else f"{CRITIC}/hidden"
                found[f"{own}.{index}.{part}"] = value
                last = max(last, int(index) + 2)
            case _:
                own = (
                    f"policy/mean.{last}" if place == "action_net" else f"{CRITIC}/out"
                )
                found[f"{own}.{rest}"] = value
    return found
