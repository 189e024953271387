"""A card without memory for a batch: batches are halved, and results are the same."""

from __future__ import annotations

import subprocess
import sys

from on_cuda import CUDA, ON_CUDA

pytestmark = ON_CUDA

# In a process of its own, whose memory is limited: 64 MiB for each copy, and room for about 40 of them.
SCRIPT = f"""
import resource, warnings
import torch
import holdfast as hf

torch.set_num_threads(1)
device, room = {CUDA!r}, 40 * 2**26

def greedy(z):
    torch.empty((len(z), 2**24), device=z.device)
    score = z.flatten(1).sum(1) - 8
    return torch.stack([score, -score], 1)

x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
whole = hf.SmoothedClassifier(greedy, hf.Gaussian(0.5), 2, device=device, batch_size=16).certify(
    x, n=300, alpha=0.1, seed=1
)
if device == "cpu":
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + room, taken + room))
else:
    number = torch.device(device).index or 0
    torch.cuda.empty_cache()
    # The limit is on what torch takes, of all that the card has.
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / torch.cuda.mem_get_info(number)[1]), number)
for size in (256, None):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = hf.SmoothedClassifier(greedy, hf.Gaussian(0.5), 2, device=device, batch_size=size).certify(
            x, n=300, alpha=0.1, seed=1
        )
    print(found == whole, [str(each.message) for each in seen if "no memory for batches" in str(each.message)])
"""


def test_a_card_without_memory_for_a_batch_gets_smaller_ones() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    given, searched = done.stdout.splitlines()
    assert given.startswith("True ['")
    assert "going on with 25. Results are the same" in given
    # No warning where a search chose the size.
    assert searched == "True []"
