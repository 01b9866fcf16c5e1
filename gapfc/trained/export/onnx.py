"""ONNX (https://onnx.ai): for onnxruntime, OpenVINO, TensorRT, Core ML, browsers, …"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gapfc.trained.export.format import Format, Runner
from gapfc.trained.export.program import INPUT, OUTPUT, Network, NotExported, exporting, trace

if TYPE_CHECKING:
    from onnx import ModelProto

# Of 2022: what gapfc's networks need is all in it, and every runtime knows it.
OPSET = 18


def write(network: Network, facts: Mapping[str, str], any_size: bool) -> bytes:
    """The file, with `facts` as its metadata_props. Raises NotExported."""
    import onnx

    for module in network.modules():
        if isinstance(module, nn.AvgPool2d) and module.divisor_override is not None:
            raise NotExported("ONNX's average pool has no divisor (backbone.pool.divisor_override)")
    program = trace(network, any_size)
    with exporting():
        converted = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
        assert converted is not None
        model: ModelProto = converted.model_proto
        _name_axes(model)
        _forget_origin(model)
        onnx.helper.set_model_props(model, dict(facts))
        onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
    return content


def read(content: bytes, network: Network) -> Runner | None:
    """What runs the file in onnxruntime, or None where that is not installed."""
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal; what raises is told anyway
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(logits)

    return run


def _name_axes(model: ModelProto) -> None:
    """`batch`, `height` and `width` where torch says s34, in all shapes that follow from them."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    names = ("batch", "channels", "height", "width")
    new = {dim.dim_param: name for dim, name in zip(dims, names, strict=True) if dim.dim_param}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(
                    r"\w+", lambda word: new.get(word[0], word[0]), dim.dim_param
                )


def _forget_origin(model: ModelProto) -> None:
    """Drop the exporter's notes on each operation: larger than it, with this machine's folders."""
    graph = model.graph
    noted: tuple[Any, ...] = (
        *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer
    )  # fmt: skip
    for item in (graph, *noted):
        del item.metadata_props[:]


ONNX = Format(f"ONNX, opset {OPSET}", write, read, "onnxruntime", needs=("onnx", "onnxscript"))
