"""Base classifiers: architectures by name, the bundles they are saved in, and adapters to models from elsewhere."""
