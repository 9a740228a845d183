"""Carries out a plan of integer layers whose scales are powers of two: sums in NumPy, shifts and rounding in Xilinx' `ap_fixed` types,
whose headers hls4ml ships; g++ compiles them. `job.json` holds the plan and the rounding.
"""

import os
import subprocess
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from common import Job


def compiled(job):
    headers = os.path.join(os.path.dirname(find_spec("hls4ml").origin), "templates", "vivado", "ap_types")
    source, program = os.path.join(os.path.dirname(__file__), "ap_fixed.cpp"), job.path("ap_fixed")
    subprocess.run(["g++", "-O1", "-w", "-I", headers, source, "-o", program], check=True)
    return program


class Rounder:
    def __init__(self, job):
        self.job, self.program = job, compiled(job)

    def codes(self, sums, shifts, zero):
        """Sums times 2^-shift on the grid of the result, one shift for each."""
        rows = np.stack(np.broadcast_arrays(sums, shifts, zero), -1).astype(np.int64)
        path = self.job.path("sums.bin")
        rows.tofile(path)
        run = subprocess.run([self.program, path, self.job["rounding"]], check=True, capture_output=True)
        return np.array(run.stdout.split(), np.int64).reshape(sums.shape)


def shift_of(ratio):
    shift = -np.log2(ratio)
    assert np.all(shift == np.rint(shift)) and np.all(shift >= 0), "scales are no powers of two, or sums are shifted to the left"
    return shift.astype(np.int64)


def part(constant):
    return np.asarray(constant["codes"], np.int64).reshape(constant["dims"])


def windows(x, kernel, strides, dilations):
    """Every place of a kernel, over two axes: an array and a place in the kernel at a time."""
    size = [(x.shape[2 + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1 for i in range(2)]
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilations[0], j * dilations[1]
            rows = slice(top, top + strides[0] * (size[0] - 1) + 1, strides[0])
            columns = slice(left, left + strides[1] * (size[1] - 1) + 1, strides[1])
            yield i, j, x[:, :, rows, columns]


def conv(layer, x):
    a, w = layer["attributes"], part(layer["weight"])
    pads, groups = a.get("pads", [0] * 4), a.get("group", 1)
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    inputs, outputs = w.shape[1], w.shape[0] // groups
    sums = []
    for g in range(groups):
        data, weights = x[:, g * inputs : (g + 1) * inputs], w[g * outputs : (g + 1) * outputs]
        terms = windows(data, w.shape[2:], a.get("strides", [1, 1]), a.get("dilations", [1, 1]))
        sums.append(sum(np.einsum("nchw,oc->nohw", part, weights[:, :, i, j]) for i, j, part in terms))
    return np.concatenate(sums, 1)


def linear(layer, x):
    w = part(layer["weight"])
    return x @ (w.T if layer["attributes"].get("transB", 0) else w)


SUMS = {"Conv": conv, "Gemm": linear}


class Network:
    def __init__(self, job):
        self.layers, self.grids = job["plan"]["layers"], job["plan"]["grids"]
        self.rounder = Rounder(job)

    def run(self, feeds):
        codes = {}
        for name, x in feeds.items():
            scale, zero = self.grids[name]
            codes[name] = np.rint(x / np.float64(scale)).astype(np.int64) + zero
        for layer in self.layers:
            [name] = layer["inputs"]
            codes[layer["output"]] = self.layer(layer, codes[name] - self.grids[name][1], self.grids[name][0])
        return codes

    def layer(self, layer, x, scale):
        sums = SUMS[layer["op"]](layer, x)
        channels = [1, -1] + [1] * (sums.ndim - 2)
        steps = scale * np.array(layer["weight"]["scale"]).reshape(channels)
        if "bias" in layer:
            bias = layer["bias"]
            ratio = np.array(bias["scale"]).reshape(channels) / steps
            assert np.all(ratio == 1), "biases lie on the scale of their sums"
            sums = sums + part(bias).reshape(channels)
        out, zero = self.grids[layer["output"]]
        codes = self.rounder.codes(sums, shift_of(steps / out), zero)
        return np.maximum(codes, zero) if layer["relu"] else codes


def main():
    job = Job()
    network = Network(job)
    for feeds in job.samples():
        codes = network.run(feeds)
        for name in job["outputs"]:
            scale, zero = network.grids[name]
            job.add("outputs", name, (codes[name] - zero) * np.float32(scale))
    job.finish(version("hls4ml"))


main()
