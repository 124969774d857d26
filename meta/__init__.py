"""Learning to adapt: learners, experience, training, evaluation, recordings."""
