"""Your own training loop, on a folder of PNG images: `python my_training.py FOLDER`.

FOLDER has `train/CLASS/*.png` and `test/CLASS/*.png`. All that it does for robustness is to add noise.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from my_net import load
from PIL import Image

SIGMA, EPOCHS = 0.25, 12


def images(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of a split in [0, 1], `(number, 1, height, width)`, and their classes in the order of their names."""
    files = [
        (file, label) for label, kind in enumerate(sorted(folder.iterdir())) for file in sorted(kind.glob("*.png"))
    ]
    pixels = np.stack([np.asarray(Image.open(file).convert("L"), dtype=np.float32) / 255 for file, _ in files])
    return torch.from_numpy(pixels).unsqueeze(1), torch.tensor([label for _, label in files])


def main(folder: Path) -> None:
    """Train, and write the weights to `my_weights.pt`."""
    torch.manual_seed(0)
    x, y = images(folder / "train")
    network = load(int(y.max()) + 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            noisy = x[batch] + SIGMA * torch.randn_like(x[batch])
            loss = torch.nn.functional.cross_entropy(network(noisy), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    torch.save(network.state_dict(), "my_weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
