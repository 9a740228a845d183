"""ncnn on the float network and its table of scales.

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
from common import Job
from onnx import numpy_helper

WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
#: ncnn2int8 sets 1 for a depthwise layer with a scale for each group, 2 for the others.
SCALE_TERM = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}


class Layer:
    def __init__(self, line):
        self.kind, self.name, ins, outs, *rest = line.split()
        ins, outs = int(ins), int(outs)
        self.inputs, self.outputs = rest[:ins], rest[ins : ins + outs]
        self.params = rest[ins + outs :]

    def get(self, key, otherwise=0):
        return next((int(p.split("=")[1]) for p in self.params if p.startswith(f"{key}=")), otherwise)

    def line(self):
        blobs = self.inputs + self.outputs
        return " ".join([self.kind, self.name, str(len(self.inputs)), str(len(self.outputs)), *blobs, *self.params])


def strided_slices(layers):
    """pnnx leaves x[:, :, ::2, ::2] as it is, which ncnn has no layer for. A 1 x 1 maximum with stride 2 takes the same elements."""
    for layer in layers:
        if layer.kind == "Tensor.slice":
            layer.kind, layer.params = "Pooling", ["0=0", "1=1", "2=2", "5=1"]


def float_network(job):
    source = job.path(job["model"])
    # Importing the package would want PyTorch, which its program does not need.
    program = os.path.join(os.path.dirname(importlib.util.find_spec("pnnx").origin), "pnnx")
    subprocess.run([program, source, "fp16=0"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = source[: -len(".onnx")]
    with open(base + ".ncnn.param") as file:
        magic, counts, *lines = file.read().strip().split("\n")
    layers = [Layer(line) for line in lines]
    strided_slices(layers)
    with open(base + ".ncnn.bin", "rb") as file:
        return [magic, counts], layers, file.read()


def sizes(layer):
    """Bytes of each array that a layer loads, in order."""
    if layer.kind in ("Convolution", "ConvolutionDepthWise"):
        return [4 + 4 * layer.get(6), 4 * layer.get(0) * layer.get(5)]
    if layer.kind == "InnerProduct":
        return [4 + 4 * layer.get(2), 4 * layer.get(0) * layer.get(1)]
    if layer.kind == "BatchNorm":
        return [4 * layer.get(0)] * 4
    if layer.kind == "MemoryData":
        return [4 * np.prod([max(1, layer.get(i)) for i in (0, 1, 11, 2)])]
    return []


def read_table(path):
    with open(path) as file:
        rows = [line.split() for line in file if line.strip()]
    return {row[0]: np.array(row[1:], np.float32) for row in rows}


def weights_of(model):
    """Weights in ncnn's order, output channels first, by node."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in constants:
            continue
        weight = constants[node.input[1]]
        transposed = any(a.name == "transB" and a.i == 1 for a in node.attribute)
        yield node, (weight if node.op_type == "Conv" or transposed else weight.T).ravel()


def quantized_network(job):
    """Writes the int8 files; returns their paths and, for each quantized value, its blob and scale."""
    head, layers, data = float_network(job)
    table = read_table(job.path(job["table"]))
    nodes = list(weights_of(onnx.load(job.path(job["model"]))))
    written, found, at = [], {}, 0
    for layer in layers:
        start = at
        at += int(sum(sizes(layer)))
        written.append(data[start:at])
        if layer.kind not in WEIGHTED:
            continue
        weight = np.frombuffer(data[start + 4 : start + sizes(layer)[0]], np.float32)
        node = next(n for n, w in nodes if w.size == weight.size and np.array_equal(w, weight))
        if node.name not in table:
            continue
        layer.params.append(f"8={SCALE_TERM[layer.kind]}")
        written += [table[node.name + "_param_0"].tobytes(), table[node.name].tobytes()]
        found[node.input[0]] = layer.inputs[0], table[node.name][0]
    param, binary = job.path("int8.param"), job.path("int8.bin")
    with open(param, "w") as file:
        file.write("\n".join([*head, *[layer.line() for layer in layers]]) + "\n")
    with open(binary, "wb") as file:
        file.write(b"".join(written))
    return param, binary, found


def codes(x, scale):
    """float2int8 of ncnn: half away from zero, -127 to 127."""
    scaled = x.astype(np.float32) * np.float32(scale)
    return np.clip(np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5)), -127, 127)


def main():
    job = Job()
    param, binary, found = quantized_network(job)
    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    if net.load_param(param) != 0 or net.load_model(binary) != 0:
        raise RuntimeError("ncnn cannot load the network")
    (name,) = job.inputs
    for feeds in job.samples():
        extractor = net.create_extractor()
        extractor.set_light_mode(False)
        extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(feeds[name][0])))
        # In the order of the network: what is extracted later may be computed in the place of what came before.
        for value, (blob, scale) in found.items():
            job.add("layers", value, codes(np.array(extractor.extract(blob)[1]), scale) / scale)
        for output, blob in zip(job["outputs"], net.output_names()):
            job.add("outputs", output, np.array(extractor.extract(blob)[1]))
    job.finish(ncnn.__version__)


main()
