"""TVM's Relax importer of ONNX and its LLVM code generator, on the QDQ form. `probed` has the quantized intermediates as outputs."""

import numpy as np
import onnx
import tvm
from common import Job
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx


def compiled(path, shapes):
    model = onnx.load(path)
    module = from_onnx(model, shape_dict=shapes, keep_params_in_input=False)
    module = relax.transform.LegalizeOps()(module)
    executable = tvm.compile(module, target="llvm")
    return relax.VirtualMachine(executable, tvm.cpu()), [o.name for o in model.graph.output]


def run(job, model, kind, names):
    feeds = next(job.samples())
    shapes = {name: list(array.shape) for name, array in feeds.items()}
    machine, outputs = compiled(job.path(model), shapes)
    for feeds in job.samples():
        result = machine["main"](*[tvm.runtime.tensor(np.ascontiguousarray(feeds[name])) for name in shapes])
        result = [result] if len(outputs) == 1 else list(result)
        for name, tensor in zip(outputs, result):
            if name in names:
                job.add(kind, names[name], tensor.numpy())


def main():
    job = Job()
    run(job, job["model"], "outputs", {name: name for name in job["outputs"]})
    run(job, job["probed"], "layers", {name: value for value, name in job["probes"].items()})
    job.finish(tvm.__version__)


main()
