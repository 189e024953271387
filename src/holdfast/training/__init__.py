"""Training base classifiers for noise: one loop; a recipe defines what a step minimizes."""
