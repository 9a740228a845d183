"""Carries out a plan of integer layers with MegEngine's quantized operators on the CPU. `job.json` holds the plan."""

import os

os.environ["MGE_LOG_LEVEL"] = "ERROR"

import megengine as mge
import megengine.functional as F
import numpy as np
from common import Job
from megengine.core.tensor.dtype import qint8, qint32
from megengine.functional.elemwise import _elemwise_multi_type
from megengine.functional.quantized import conv_bias_activation


def tensor(codes, dtype):
    """Codes as a quantized tensor: real values that are whole numbers of the scale."""
    scale = dtype.metadata["mgb_dtype"]["scale"]
    return mge.tensor(np.asarray(codes, np.float32) * np.float32(scale)).astype(dtype)


def constant(part):
    return np.asarray(part["codes"], np.float64).reshape(part["dims"])


class Network:
    def __init__(self, plan):
        self.layers, self.grids = plan["layers"], plan["grids"]

    def dtype(self, name):
        return qint8(self.grids[name][0])

    def run(self, feeds):
        self.values = {name: mge.tensor(x).astype(self.dtype(name)) for name, x in feeds.items()}
        for layer in self.layers:
            inputs = [self.values[name] for name in layer["inputs"]]
            self.values[layer["output"]] = KERNELS[layer["op"]](self, layer, *inputs)
        return self.values


def conv(net, layer, x):
    a, rank = layer["attributes"], x.ndim - 2
    pads, groups = a.get("pads", [0] * 2 * rank), a.get("group", 1)
    if pads[:rank] != pads[rank:]:
        pairs = [(0, 0), (0, 0)] + [(pads[i], pads[rank + i]) for i in range(rank)]
        x, pads = mge.tensor(np.pad(x.astype(np.float32).numpy(), pairs)).astype(x.dtype), [0] * 2 * rank
    sx, sw = scale_of(x), layer["weight"]["scale"][0]
    w = constant(layer["weight"])
    channels = w.shape[0]
    if groups > 1:
        w = w.reshape((groups, channels // groups) + w.shape[1:])
    bias = layer.get("bias")
    b = np.zeros(channels) if bias is None else constant(bias)
    out = net.dtype(layer["output"])
    return conv_bias_activation(
        x,
        tensor(w, qint8(sw)),
        tensor(b.reshape(1, -1, 1, 1), qint32(np.float32(sx) * np.float32(sw))),
        dtype=out,
        stride=tuple(a.get("strides", [1] * rank)),
        padding=tuple(pads[:rank]),
        dilation=tuple(a.get("dilations", [1] * rank)),
        groups=groups,
        nonlinear_mode="relu" if layer["relu"] else "identity",
    )


def scale_of(x):
    return x.dtype.metadata["mgb_dtype"]["scale"]


def linear(net, layer, x):
    sx, sw = scale_of(x), layer["weight"]["scale"][0]
    w = constant(layer["weight"])
    w = w if layer["attributes"].get("transB", 0) else w.T
    bias = layer.get("bias")
    b = None if bias is None else tensor(constant(bias), qint32(np.float32(sx) * np.float32(sw)))
    y = F.linear(x, tensor(w, qint8(sw)), b).astype(net.dtype(layer["output"]))
    return F.relu(y) if layer["relu"] else y


def elementwise(mode):
    def run(net, layer, *inputs):
        name = "qfuse_add_relu" if layer["relu"] else mode
        return _elemwise_multi_type(*inputs, mode=name, dtype=net.dtype(layer["output"]))

    return run


def max_pool(net, layer, x):
    a = layer["attributes"]
    pads = a.get("pads", [0] * 4)
    if pads[:2] != pads[2:]:
        raise ValueError("MegEngine pads both ends alike")
    return F.max_pool2d(x, tuple(a["kernel_shape"]), tuple(a.get("strides", [1, 1])), tuple(pads[:2]))


def concat(net, layer, *inputs):
    out = net.dtype(layer["output"])
    return F.concat([x.astype(out) for x in inputs], layer["attributes"]["axis"])


KERNELS = {
    "Conv": conv,
    "Gemm": linear,
    "Add": elementwise("qadd"),
    "Sub": elementwise("qsub"),
    "Mul": elementwise("qmul"),
    "Sigmoid": elementwise("qsigmoid"),
    "Tanh": elementwise("qtanh"),
    "MaxPool": max_pool,
    "Concat": concat,
}


def main():
    job = Job()
    network = Network(job["plan"])
    for feeds in job.samples():
        values = network.run(feeds)
        for name in job["outputs"]:
            job.add("outputs", name, values[name].astype(np.float32).numpy())
    job.finish(mge.__version__)


main()
