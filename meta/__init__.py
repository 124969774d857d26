"""How one learns to adapt: learners, rollouts, evaluation and the command line."""
