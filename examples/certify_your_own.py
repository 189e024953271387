"""Certify a scikit-learn style classifier: any callable that takes noisy inputs can be the base classifier.

The base classifier here is the nearest class mean of the digits in the package, without any training for noise.

python examples/certify_your_own.py [--smoke]    (with --smoke: three images, as CI runs it)
"""

import sys

import torch

import holdfast as hf

train, test = hf.load_data("digits", "train"), hf.load_data("digits", "test")
inputs, labels = torch.from_numpy(train.batch(range(len(train)))), torch.from_numpy(train.labels.copy())
means = torch.stack([inputs[labels == label].mean(0).flatten() for label in range(10)])


def nearest_mean(noisy: torch.Tensor) -> torch.Tensor:
    """Logits `(batch, 10)`: minus the squared distance to each class mean."""
    return -(torch.cdist(noisy.flatten(1), means) ** 2)


smoothed = hf.SmoothedClassifier(nearest_mean, hf.Gaussian(sigma=0.25), num_classes=10)
smoke = "--smoke" in sys.argv
if smoke:
    print("smoke run: sizes so small that no figure below means anything")
chosen = list(range(0, len(test), 120 if smoke else 12))
certificates = smoothed.certify(test.batch(chosen), n0=100, n=1_000, alpha=0.001)
for radius in (0.0, 0.25, 0.5):
    correct = sum(
        certificate.label == int(test.labels[index]) and certificate.radius >= radius
        for index, certificate in zip(chosen, certificates, strict=True)
    )
    print(f"certified accuracy at L2 radius {radius:4}: {correct} of {len(chosen)}")
