"""MNN on the float network and the compression parameters that its converter reads.

The converter is called as a library: the program of the same name installs packages and reports its use.
"""

import _tools
import MNN
import numpy as np
from common import Job
from MNN import expr, nn


def convert(job):
    target = job.path("network.mnn")
    arguments = {
        "-f": "ONNX",
        "--modelFile": job.path(job["model"]),
        "--MNNModel": target,
        "--bizCode": "fewbit",
        "--compressionParamsFile": job.path(job["table"]),
    }
    _tools.mnnconvert(["mnnconvert", *[word for pair in arguments.items() for word in pair]])
    return target


def main():
    job = Job()
    inputs = list(job.inputs)
    network = nn.load_module_from_file(convert(job), inputs, job["outputs"])
    for feeds in job.samples():
        tensors = [expr.const(feeds[name].astype(np.float32), list(feeds[name].shape), expr.NCHW) for name in inputs]
        results = network.forward(tensors)
        for name, result in zip(job["outputs"], results if isinstance(results, list) else [results]):
            job.add("outputs", name, np.array(expr.convert(result, expr.NCHW).read()))
    job.finish(MNN.version())


main()
