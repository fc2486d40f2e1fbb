"""Training passes as CUDA graphs: the kernels of a pass are captured once per shape and then launched as a whole.

A pass of a BERT-sized encoder is about a thousand short kernels. Launching them one by one takes a processor longer
than a GPU takes to compute them, unless a batch is very large. A graph serves only inputs of the shape that it was
captured with, so shapes have to recur: packed texts of a random batch are nearly always about as many tokens, and
filler texts make them a round number (`nlptl.data.tokens.encoding.collate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nlptl.kernels.inputs import Inputs

MOST_SHAPES = 32
"""Shapes that are captured, if memory allows; others are computed kernel by kernel."""
WARM_UP = 2
"""Passes before a capture, as PyTorch asks for."""


class CapturedPasses(NamedTuple):
    """Forward and backward pass of one shape, and the tensors that they read and write."""

    inputs: list[Tensor]
    outputs: Tensor
    replay_forward: Callable[[], None]
    output_gradient: Tensor
    replay_backward: Callable[[], None]


@contextmanager
def captured_passes(model: Any) -> Iterator[None]:
    """Capture and replay the model's passes over packed training batches, while this lasts.

    Args:
        model: on a CUDA device, packed, without dropout, its parameters frozen and free as they will stay.
    """
    model.rounds_shapes = True
    model.forward = GraphedForward(model)
    try:
        yield
    finally:
        model.rounds_shapes = False
        model.__dict__.pop("forward", None)


class GraphedForward:
    """In place of a model's forward: inputs of `collate` to logits (B, C).

    Both passes of a shape are captured when it occurs for the second time. The graphs of all shapes write gradients
    into the same tensors, which are the parameters' `grad` until the next pass.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._plain_forward = model, model.forward
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._gradients: list[Tensor | None] = []
        self._captured: dict[tuple[torch.Size, ...], CapturedPasses] = {}
        self._seen: set[tuple[torch.Size, ...]] = set()
        self._pool: Any = None
        self._most = MOST_SHAPES

    def __call__(self, inputs: Inputs) -> Tensor:
        if not (self._model.training and torch.is_grad_enabled()):
            plain: Tensor = self._plain_forward(inputs)
            return plain
        shape = tuple(tensor.shape for tensor in inputs.values())
        if shape not in self._captured and shape in self._seen and len(self._captured) < self._most:
            try:
                self._captured[shape] = self._capture_passes(inputs)
            except torch.OutOfMemoryError:
                self._most = len(self._captured)
        if shape not in self._captured:
            self._seen.add(shape)
            return self._plain_forward(inputs)  # type: ignore[no-any-return]
        replay: Callable[..., Tensor] = _Replay.apply
        return replay(self, self._captured[shape], self._parameters[0], *inputs.values())

    def copy_shared_gradients(self) -> None:
        """Before a pass: parameters whose `grad` is a shared tensor, of an earlier micro-batch, get a copy of it."""
        for parameter, gradient in self._with_gradients():
            if parameter.grad is gradient:
                parameter.grad = gradient.clone()

    def accumulate_gradients(self) -> None:
        """After a pass: its gradients become the parameters' `grad`, or are added to it."""
        for parameter, gradient in self._with_gradients():
            if parameter.grad is None:
                parameter.grad = gradient
            else:
                parameter.grad += gradient

    def _with_gradients(self) -> list[tuple[nn.Parameter, Tensor]]:
        pairs = zip(self._parameters, self._gradients, strict=False)
        return [(parameter, gradient) for parameter, gradient in pairs if gradient is not None]

    def _capture_passes(self, inputs: Inputs) -> CapturedPasses:
        self.copy_shared_gradients()
        static = {name: tensor.clone() for name, tensor in inputs.items()}
        device = next(iter(static.values())).device
        live: list[Tensor] = []
        # Autograd remembers on which stream a parameter was last used, for as long as some loss of it is alive.
        parameters = [nn.Parameter(parameter.detach()) for parameter in self._parameters]
        kind, dtype = device.type, torch.get_autocast_dtype(device.type)
        # Weights that autocast casts and caches during this capture would be missing from the next one.
        with torch.autocast(kind, dtype, enabled=torch.is_autocast_enabled(kind), cache_enabled=False):

            def forward() -> Tensor:
                with parameters_replaced(self._model, self._parameters, parameters):
                    live[:] = [self._plain_forward(static)]
                return live[0]

            with side_stream(device):
                for _ in range(WARM_UP):
                    outputs = forward()
                    found = torch.autograd.grad(outputs, parameters, torch.zeros_like(outputs), allow_unused=True)
                self._gradients = self._gradients or [None if g is None else torch.zeros_like(g) for g in found]
                output_gradient = torch.zeros_like(outputs)
                live.clear()
                del outputs, found

            def backward() -> None:
                found = torch.autograd.grad(live[0], parameters, output_gradient, allow_unused=True)
                pairs = [(own, new) for own, new in zip(self._gradients, found, strict=True) if own is not None]
                torch._foreach_copy_([own for own, _ in pairs], [new for _, new in pairs])

            outputs, replay_forward = self._capture(forward)
            _, replay_backward = self._capture(backward)
        return CapturedPasses(list(static.values()), outputs.detach(), replay_forward, output_gradient, replay_backward)

    def _capture(self, work: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        if self._pool is None:
            self._pool = new_memory_pool()
        return capture(work, self._pool)


class _Replay(torch.autograd.Function):
    """Captured passes as a node of autograd; the model's parameters are not among its inputs, and get gradients."""

    @staticmethod
    def forward(
        context: Any, graphed: GraphedForward, passes: CapturedPasses, anchor: Tensor, *inputs: Tensor
    ) -> Tensor:
        context.graphed, context.passes = graphed, passes
        torch._foreach_copy_(passes.inputs, list(inputs))
        passes.replay_forward()
        return passes.outputs.clone()

    @staticmethod
    def backward(context: Any, *output_gradients: Tensor) -> tuple[None, ...]:
        graphed, passes = context.graphed, context.passes
        graphed.copy_shared_gradients()
        passes.output_gradient.copy_(output_gradients[0])
        passes.replay_backward()
        graphed.accumulate_gradients()
        return (None,) * (3 + len(passes.inputs))


@contextmanager
def parameters_replaced(model: nn.Module, parameters: list[nn.Parameter], others: list[nn.Parameter]) -> Iterator[None]:
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
def side_stream(device: torch.device) -> Iterator[None]:
    """Work on a stream of its own, as PyTorch asks of the passes before a capture."""
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)
    torch.cuda.synchronize(device)


def new_memory_pool() -> Any:
    """Memory that graphs share: one is replayed at a time, and nothing of it is needed later."""
    return torch.cuda.graph_pool_handle()


def capture(work: Callable[[], Any], pool: Any) -> tuple[Any, Callable[[], None]]:
    """Capture some work: what it returned, whose tensors each replay overwrites; and the function that replays it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        result = work()
    return result, graph.replay
