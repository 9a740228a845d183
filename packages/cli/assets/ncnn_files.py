"""ncnn's files from a float network in ONNX and the table of scales that the exporter `ncnn` writes.

pnnx turns the ONNX file into ncnn's param and bin files under layer names of its own. What ncnn2int8 would do follows here, because the
Python package does not bring it: layers with weights are found again by their weights, get `int8_scale_term` (8=) and the scales of the
table behind their arrays. ncnn rounds the weights itself when it loads them.
"""

import importlib.util
import os
import subprocess

import ncnn
import numpy as np
import onnx

WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
#: ncnn2int8 sets 1 for a depthwise layer with a scale for each group, 2 for the others.
SCALE_TERM = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}


class Layer:
    def __init__(self, line):
        self.kind, self.name, ins, outs, *rest = line.split()
        blobs = int(ins) + int(outs)
        self.inputs, self.head, self.params = rest[: int(ins)], [ins, outs, *rest[:blobs]], rest[blobs:]

    def get(self, key, otherwise=0):
        return next((int(p.split("=")[1]) for p in self.params if p.startswith(f"{key}=")), otherwise)

    def line(self):
        return " ".join([self.kind, self.name, *self.head, *self.params])

    def sizes(self):
        """Bytes of each array that it loads, in order; the first one is the weight, behind a tag of four bytes."""
        if self.kind in ("Convolution", "ConvolutionDepthWise"):
            return [4 + 4 * self.get(6), 4 * self.get(0) * self.get(5)]
        if self.kind == "InnerProduct":
            return [4 + 4 * self.get(2), 4 * self.get(0) * self.get(1)]
        if self.kind == "BatchNorm":
            return [4 * self.get(0)] * 4
        if self.kind == "MemoryData":
            return [4 * int(np.prod([max(1, self.get(i)) for i in (0, 1, 11, 2)]))]
        return []


def converted(source):
    """Head, layers and arrays of ncnn's files."""
    # Importing the package would want PyTorch, which its program does not need.
    program = os.path.join(os.path.dirname(importlib.util.find_spec("pnnx").origin), "pnnx")
    subprocess.run([program, source, "fp16=0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = source[: -len(".onnx")]
    if not os.path.exists(base + ".ncnn.param"):
        raise RuntimeError("pnnx does not take the network")
    with open(base + ".ncnn.param") as file:
        magic, counts, *lines = file.read().strip().split("\n")
    layers = [Layer(line) for line in lines]
    strided_slices(layers)
    with open(base + ".ncnn.bin", "rb") as file:
        return [magic, counts], layers, file.read()


def strided_slices(layers):
    """pnnx leaves x[:, :, ::2, ::2] as it is, which ncnn has no layer for. A 1 x 1 maximum with stride 2 takes the same elements."""
    for layer in layers:
        if layer.kind == "Tensor.slice":
            layer.kind, layer.params = "Pooling", ["0=0", "1=1", "2=2", "5=1"]


def read_table(path):
    with open(path) as file:
        rows = [line.split() for line in file if line.strip()]
    return {row[0]: np.array(row[1:], np.float32) for row in rows}


def weights_of(model):
    """Weights in ncnn's order, output channels first, by node."""
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in constants:
            continue
        weight = constants[node.input[1]]
        transposed = any(a.name == "transB" and a.i == 1 for a in node.attribute)
        yield node, (weight if node.op_type == "Conv" or transposed else weight.T).ravel()


def with_scales(layers, data, source, table):
    """Marks the layers that the table names, and puts its scales behind their arrays. Returns these, and (node, layer, scale of what it reads)."""
    nodes, scales = list(weights_of(onnx.load(source))), read_table(table)
    written, found, at = [], [], 0
    for layer in layers:
        start, at = at, at + sum(layer.sizes())
        written.append(data[start:at])
        if layer.kind not in WEIGHTED:
            continue
        weight = np.frombuffer(data[start + 4 : start + layer.sizes()[0]], np.float32)
        node = next((n for n, w in nodes if w.size == weight.size and np.array_equal(w, weight)), None)
        if node is None or node.name not in scales:
            continue
        layer.params.append(f"8={SCALE_TERM[layer.kind]}")
        written += [scales[node.name + "_param_0"].tobytes(), scales[node.name].tobytes()]
        found.append((node, layer, scales[node.name][0]))
    return b"".join(written), found


def loaded(source, table=None):
    """The network of an ONNX file, written beside it, and what `with_scales` found where there is a table."""
    head, layers, data = converted(source)
    found = []
    if table is not None:
        data, found = with_scales(layers, data, source, table)
    param, binary = (os.path.join(os.path.dirname(source), name) for name in ("final.param", "final.bin"))
    with open(param, "w") as file:
        file.write("\n".join([*head, *[layer.line() for layer in layers]]) + "\n")
    with open(binary, "wb") as file:
        file.write(data)
    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    if net.load_param(param) != 0 or net.load_model(binary) != 0:
        raise RuntimeError("it has no layer for a part of the network")
    return net, found
