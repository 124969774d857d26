"""Episodes, and what learners read of them."""
