"""OpenVINO's CPU plugin for fewbit.

Float parts run in float32: by default OpenVINO takes bfloat16 for them on processors that have it.
"""

from host import needed, serve

ov = needed("OpenVINO", {"openvino": "openvino"})["openvino"]

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
TYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "boolean": "bool"}
TYPES |= {f"{sign}{bits}": f"{name}{bits}" for sign, name in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)}
core = ov.Core()


def describe(port, name):
    shape = [int(d.get_length()) if d.is_static else "" for d in port.get_partial_shape()]
    return {"name": name, "dtype": TYPES.get(port.get_element_type().get_type_name(), ""), "shape": shape}


class Session:
    def __init__(self, body):
        self.compiled = core.compile_model(core.read_model(bytes(body)), "CPU", CONFIG)
        self.inputs = [describe(port, port.get_any_name()) for port in self.compiled.inputs]
        self.outputs = [describe(port, name) for port in self.compiled.outputs for name in sorted(port.get_names())]

    def run(self, feeds):
        results = self.compiled(feeds)
        return {name: results[port] for port in self.compiled.outputs for name in port.get_names()}


serve("openvino", "OpenVINO", ov.__version__.split("-")[0], Session)
