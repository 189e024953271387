"""Training on several devices of one machine, with Lightning Fabric: each process runs the loop on its share of a step.

Every process draws the noise of the whole minibatch and takes its share, so the noise of an image depends on its place
in the minibatch and not on the process. Gradients are averaged with the shares as weights: up to rounding, one process
would take the same step. Only the running statistics of batch normalization are those of the first share.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

import torch

from holdfast.errors import MissingExtraError, UsageError
from holdfast.process import environment, interrupts_held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """The processes of a training, seen from one of them; by default a single one.

    Attributes:
        rank: number of this process; process 0 writes all files.
        size: number of processes.
        fabric: connects them; None for a single process.
    """

    rank: int = 0
    size: int = 1
    fabric: Any = None

    @property
    def device(self) -> torch.device | None:
        """The device of this process; None if undetermined."""
        return None if self.fabric is None else self.fabric.device

    def model(self, module: nn.Module) -> nn.Module:
        """The module to compute losses with, which averages gradients over the processes."""
        if self.fabric is None:
            return module
        wrapped: nn.Module = self.fabric.setup_module(module)
        return wrapped

    def share(self, count: int) -> tuple[slice, float]:
        """This process's slice of `count` images, and the weight of their mean loss in its gradient.

        With fewer images than processes, some processes take the first image with weight 0: all must take part.
        """
        first, end = (rank * count // self.size for rank in (self.rank, self.rank + 1))
        if first == end:
            return slice(0, 1), 0.0
        return slice(first, end), self.size * (end - first) / count

    def backward(self, loss: Tensor) -> None:
        """Compute gradients of the loss, averaged over the processes."""
        if self.fabric is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            self.fabric.backward(loss)

    def total(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.fabric is None:
            return values
        summed: Tensor = self.fabric.all_reduce(values, reduce_op="sum")
        return summed


@contextmanager
def team(size: int, device: str, target: Callable[..., object], arguments: tuple[object, ...]) -> Iterator[Team]:
    """Start the other processes of a team, which call `target(team, *arguments)`, and yield the first member.

    Args:
        size: number of processes, at least 2.
        device: "cpu", or "cuda" for one GPU each.
        target: a function at the top level of a module, which trains as the `with` block does.
        arguments: of `target`; can be pickled.

    Raises:
        UsageError: another kind of device, or fewer GPUs than processes.
        MissingExtraError: Fabric is not installed.
    """
    if device not in ("cpu", "cuda"):
        raise UsageError(f"with several devices, the kind of device is 'cpu' or 'cuda', got {device!r}")
    if device == "cuda" and torch.cuda.device_count() < size:
        raise UsageError(
            f"{size} devices were requested, and this machine has {torch.cuda.device_count()} GPUs; take fewer"
        )
    _fabric()
    context = multiprocessing.get_context("spawn")
    port = _free_port()
    processes, senders = [], []
    with interrupts_held_back():
        for rank in range(1, size):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_run_member, args=(receiver, rank, size, port, device, target, arguments), daemon=True
            )
            process.start()
            processes.append(process)
            receiver.close()
            # Kept open: its end tells the process that this one has ended.
            senders.append(sender)
    try:
        with _member(0, size, port, device) as made:
            yield made
    finally:
        for process in processes:
            process.kill()
            process.join()


def _run_member(
    driver: Connection,
    rank: int,
    size: int,
    port: int,
    device: str,
    target: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """The main function of another process, which ends whenever the first one does."""

    def watch() -> None:
        try:
            driver.recv()
        except (EOFError, OSError):
            os._exit(1)

    Thread(target=watch, daemon=True).start()
    with _member(rank, size, port, device) as made:
        target(made, *arguments)


@contextmanager
def _member(rank: int, size: int, port: int, device: str) -> Iterator[Team]:
    """Join a team whose processes we start ourselves, which Fabric recognizes by environment variables."""
    variables = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "NODE_RANK": 0,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": size,
    }
    with environment({name: str(value) for name, value in variables.items()}):
        try:
            from lightning_fabric.plugins.environments.lightning import LightningEnvironment

            # After the import, which sets the level itself.
            logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
            fabric = _fabric()(accelerator=device, devices=size, strategy="ddp", plugins=[LightningEnvironment()])
            fabric.launch()
            yield Team(rank, size, fabric)
        finally:
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _fabric() -> Any:
    try:
        from lightning_fabric import Fabric
    except ImportError:
        raise MissingExtraError("lightning-fabric", "fabric", "training on several devices") from None
    return Fabric
