"""OpenVINO's CPU plugin on ONNX files. Float parts run in float32 unless job.json names another precision.

`layers` is the same network with its quantized intermediates as further outputs.
"""

import openvino as ov
from common import Job

job = Job()
core = ov.Core()
config = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY", **job.settings.get("config", {})}


def run(model, kind, names):
    compiled = core.compile_model(job.path(model), "CPU", config)
    request = compiled.create_infer_request()
    for feeds in job.samples():
        result = request.infer(feeds)
        for output in compiled.outputs:
            for name in output.get_names() & names.keys():
                job.add(kind, names[name], result[output])


run(job["model"], "outputs", {name: name for name in job["outputs"]})
if "probed" in job.settings:
    run(job["probed"], "layers", {name: value for value, name in job["probes"].items()})
job.finish(ov.__version__.split("-")[0])
