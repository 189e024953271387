"""Training base classifiers for noise: one loop; what a step minimizes is a small function, a recipe."""
