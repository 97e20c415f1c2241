"""INT8 weights, quantised while running: products of matrices, LSTMs and tables.

A convolution with a kernel of one is a product of matrices, and in a FastConformer
an eighth of all weights: it is written as one first. Other convolutions stay FP32.
ONNX Runtime would make ConvInteger of them, which has one scale for all channels, is
slower than the convolution it replaces and saves next to nothing.

Scales are per output channel. Weights use seven bits, because processors without
VNNI add two products of eight bits in sixteen and would saturate.
"""

import tempfile
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

from . import graphs

OPERATORS = ["MatMul", "LSTM", "Gather"]


def convert(model, target):
    """Writes the INT8 form of `model` to the file `target`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    pointwise_as_products(model.graph)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        source = Path(scratch) / "source.onnx"
        graphs.save(model, source)
        for old in target.parent.glob(target.name + "*"):
            old.unlink()
        quantize_dynamic(
            source, target, op_types_to_quantize=OPERATORS, weight_type=QuantType.QInt8, per_channel=True,
            reduce_range=True, use_external_data_format=graphs.size(source) > 4 * graphs.LARGEST,
        )


def pointwise_as_products(graph):
    """Writes convolutions over time with a kernel of one as products of matrices."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if not is_pointwise(node, weights):
            nodes.append(node)
            continue
        name = node.name
        kernel = numpy_helper.to_array(weights[node.input[1]])
        product = numpy_helper.from_array(np.ascontiguousarray(kernel[:, :, 0].T), f"{name}_weight")
        graph.initializer.append(product)
        last = f"{name}_product"
        nodes.append(helper.make_node("Transpose", [node.input[0]], [f"{name}_in"], f"{name}_before", perm=[0, 2, 1]))
        nodes.append(helper.make_node("MatMul", [f"{name}_in", product.name], [last], f"{name}_matmul"))
        if len(node.input) == 3:
            nodes.append(helper.make_node("Add", [last, node.input[2]], [f"{name}_sum"], f"{name}_add"))
            last = f"{name}_sum"
        nodes.append(helper.make_node("Transpose", [last], [node.output[0]], f"{name}_after", perm=[0, 2, 1]))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def is_pointwise(node, weights):
    if node.op_type != "Conv" or node.input[1] not in weights:
        return False
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    shape = weights[node.input[1]].dims
    plain = settings.get("group", 1) == 1 and set(settings.get("strides", [1])) == {1}
    return len(shape) == 3 and shape[2] == 1 and plain and not any(settings.get("pads", []))
