"""Training passes as CUDA graphs: what a GPU is told to do, recorded once per shape and then asked for as a whole.

A pass of a BERT-sized encoder is about a thousand short kernels. Asking for them one by one takes a processor longer
than a GPU takes to compute them, unless a batch is very large. A recording needs shapes that come again: packed texts
of a random batch are nearly always about as many tokens, and filler texts make them a round number
(`nlptl.data.encoding.collate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Inputs = dict[str, Tensor]
MOST = 32
"""Shapes recorded, if memory allows; others are computed as they come."""
WARM_UP = 2


class Passes(NamedTuple):
    """The recorded passes of one shape, and the tensors that they read and write."""

    inputs: list[Tensor]
    outputs: Tensor
    forward: Callable[[], None]
    towards: Tensor
    """The gradient of the outputs."""
    backward: Callable[[], None]


@contextmanager
def recording(model: Any) -> Iterator[None]:
    """Record and repeat the model's passes over packed training batches, while this lasts.

    Args:
        model: on a CUDA device, packed, without dropout, its parameters frozen and free as they will stay.
    """
    model.rounds = True
    model.forward = Recorder(model)
    try:
        yield
    finally:
        model.rounds = False
        model.__dict__.pop("forward", None)


class Recorder:
    """Stands in for a model's forward: inputs of `collate` to logits, both passes recorded at a shape's second sight.

    Recorded gradients of all shapes lie in the same tensors, which parameters hold as theirs until the next pass.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._plain = model, model.forward
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._gradients: list[Tensor | None] = []
        self._passes: dict[tuple[torch.Size, ...], Passes] = {}
        self._seen: set[tuple[torch.Size, ...]] = set()
        self._pool: Any = None
        self._most = MOST

    def __call__(self, inputs: Inputs) -> Tensor:
        if not (self._model.training and torch.is_grad_enabled()):
            plain: Tensor = self._plain(inputs)
            return plain
        shape = tuple(tensor.shape for tensor in inputs.values())
        if shape not in self._passes and shape in self._seen and len(self._passes) < self._most:
            try:
                self._passes[shape] = self._record(inputs)
            except torch.OutOfMemoryError:
                self._most = len(self._passes)
        if shape not in self._passes:
            self._seen.add(shape)
            return self._plain(inputs)  # type: ignore[no-any-return]
        repeat: Callable[..., Tensor] = _Repeat.apply
        return repeat(self, self._passes[shape], self._parameters[0], *inputs.values())

    def let_go(self) -> None:
        """Before a pass: parameters that hold the gradients of an earlier micro-batch get them as their own."""
        for parameter, gradient in self._learning():
            if parameter.grad is gradient:
                parameter.grad = gradient.clone()

    def add_up(self) -> None:
        """After a pass: its gradients are the parameters', or are added to them."""
        for parameter, gradient in self._learning():
            if parameter.grad is None:
                parameter.grad = gradient
            else:
                parameter.grad += gradient

    def _learning(self) -> list[tuple[nn.Parameter, Tensor]]:
        pairs = zip(self._parameters, self._gradients, strict=False)
        return [(parameter, gradient) for parameter, gradient in pairs if gradient is not None]

    def _record(self, inputs: Inputs) -> Passes:
        self.let_go()
        held = {name: tensor.clone() for name, tensor in inputs.items()}
        device = next(iter(held.values())).device
        live: list[Tensor] = []
        # Autograd remembers on which stream a parameter was last used, for as long as some loss of it is alive.
        parameters = [nn.Parameter(parameter.detach()) for parameter in self._parameters]
        kind, dtype = device.type, torch.get_autocast_dtype(device.type)
        # Casts of weights that autocast keeps would be missing from the next recording.
        with torch.autocast(kind, dtype, enabled=torch.is_autocast_enabled(kind), cache_enabled=False):

            def forward() -> Tensor:
                with standing_in(self._model, self._parameters, parameters):
                    live[:] = [self._plain(held)]
                return live[0]

            with aside(device):
                for _ in range(WARM_UP):
                    outputs = forward()
                    found = torch.autograd.grad(outputs, parameters, torch.zeros_like(outputs), allow_unused=True)
                self._gradients = self._gradients or [None if g is None else torch.zeros_like(g) for g in found]
                towards = torch.zeros_like(outputs)
                live.clear()
                del outputs, found

            def backward() -> None:
                found = torch.autograd.grad(live[0], parameters, towards, allow_unused=True)
                pairs = [(kept, new) for kept, new in zip(self._gradients, found, strict=True) if kept is not None]
                torch._foreach_copy_([kept for kept, _ in pairs], [new for _, new in pairs])

            outputs, repeat_forward = self._capture(forward)
            _, repeat_backward = self._capture(backward)
        return Passes(list(held.values()), outputs.detach(), repeat_forward, towards, repeat_backward)

    def _capture(self, work: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        if self._pool is None:
            self._pool = new_pool()
        return capture(work, self._pool)


class _Repeat(torch.autograd.Function):
    """A recorded pass as a node of autograd; the model's parameters are not among its inputs, and get gradients."""

    @staticmethod
    def forward(context: Any, recorder: Recorder, passes: Passes, anchor: Tensor, *inputs: Tensor) -> Tensor:
        context.recorder, context.passes = recorder, passes
        torch._foreach_copy_(passes.inputs, list(inputs))
        passes.forward()
        return passes.outputs.clone()

    @staticmethod
    def backward(context: Any, *towards: Tensor) -> tuple[None, ...]:
        recorder, passes = context.recorder, context.passes
        recorder.let_go()
        passes.towards.copy_(towards[0])
        passes.backward()
        recorder.add_up()
        return (None,) * (3 + len(passes.inputs))


@contextmanager
def standing_in(model: nn.Module, parameters: list[nn.Parameter], others: list[nn.Parameter]) -> Iterator[None]:
    """Let a model compute with other parameters in the place of some of its own."""
    chosen = dict(zip(map(id, parameters), others, strict=True))
    places = [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module._parameters.items()
        if id(parameter) in chosen
    ]
    for module, name, parameter in places:
        module._parameters[name] = chosen[id(parameter)]
    try:
        yield
    finally:
        for module, name, parameter in places:
            module._parameters[name] = parameter


@contextmanager
def aside(device: torch.device) -> Iterator[None]:
    """Work on a stream of its own, as PyTorch asks of what comes before a recording."""
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)
    torch.cuda.synchronize(device)


def new_pool() -> Any:
    """Memory that recordings share: one is repeated at a time, and nothing of it is needed later."""
    return torch.cuda.graph_pool_handle()


def capture(work: Callable[[], Any], pool: Any) -> tuple[Any, Callable[[], None]]:
    """Record some work: what it returned, whose tensors each repetition overwrites; and what repeats it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        result = work()
    return result, graph.replay
