"""Five lines: an arm meets an object of a shape that it has never struck."""

import pliant

policy = pliant.load("shipped:strike")
env = pliant.make_env("strike", worlds=5, split="unseen", seed=7)  # one unseen task
adapted = policy.adapt(env)  # by one episode in each of its five worlds
print(f"before adapting: return {policy.measure(env).returns.mean():.3f}")
print(f"after adapting: return {adapted.measure(env).returns.mean():.3f}")
