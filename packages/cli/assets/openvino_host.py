"""OpenVINO's CPU plugin for fewbit: reads orders from stdin and writes answers to stdout.

A message is its length (8 bytes), the length of its head (4 bytes), a head in JSON, and bytes; lengths are big-endian.
Float parts run in float32: by default OpenVINO takes bfloat16 for them on processors that have it.
"""

import json
import os
import struct
import sys

# What libraries print must not stand between answers.
OUT = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)


def answer(head, body=b""):
    text = json.dumps(head).encode()
    OUT.write(struct.pack(">QI", 4 + len(text) + len(body), len(text)) + text + body)
    OUT.flush()


def failed(code, error):
    message = str(error).strip().splitlines() or [type(error).__name__]
    answer({"error": [{"code": code, "level": "error", "message": f"OpenVINO: {message[-1]}"}]})


try:
    import numpy as np
    import openvino as ov
except ImportError as error:
    failed("ENGINE_LOAD", error)
    sys.exit(0)

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
TYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "boolean": "bool"}
TYPES |= {f"{sign}{bits}": f"{name}{bits}" for sign, name in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)}
core = ov.Core()
sessions = {}


def describe(port, name):
    shape = [int(d.get_length()) if d.is_static else "" for d in port.get_partial_shape()]
    return {"name": name, "dtype": TYPES.get(port.get_element_type().get_type_name(), ""), "shape": shape}


def load(body):
    compiled = core.compile_model(core.read_model(bytes(body)), "CPU", CONFIG)
    number = max(sessions, default=-1) + 1
    sessions[number] = compiled
    inputs = [describe(port, port.get_any_name()) for port in compiled.inputs]
    outputs = [describe(port, name) for port in compiled.outputs for name in sorted(port.get_names())]
    answer({"loaded": {"session": number, "inputs": inputs, "outputs": outputs}})


def run(order, body):
    compiled, feeds, at = sessions[order["session"]], {}, 0
    for head in order["feeds"]:
        raw = body[at : at + head["bytes"]]
        at += head["bytes"]
        feeds[head["name"]] = np.frombuffer(raw, dtype=head["dtype"]).reshape(head["dims"])
    results = compiled(feeds)
    wanted, heads, parts = order.get("wanted"), [], []
    for port in compiled.outputs:
        array = np.ascontiguousarray(results[port])
        for name in port.get_names():
            if wanted is None or name in wanted:
                heads.append({"name": name, "dtype": str(array.dtype), "dims": list(array.shape), "bytes": array.nbytes})
                parts.append(array.tobytes())
    answer({"outputs": heads}, b"".join(parts))


def obey(order, body):
    if order["kind"] == "load":
        load(body)
    elif order["kind"] == "run":
        run(order, body)
    else:
        del sessions[order["session"]]
        answer({})


answer({"ready": {"name": "openvino", "version": ov.__version__.split("-")[0], "threads": os.cpu_count() or 1}})
while True:
    size = sys.stdin.buffer.read(8)
    if len(size) < 8:
        break
    message = sys.stdin.buffer.read(struct.unpack(">Q", size)[0])
    (length,) = struct.unpack(">I", message[:4])
    order = json.loads(message[4 : 4 + length])
    try:
        obey(order, message[4 + length :])
    except Exception as error:
        failed("ENGINE_LOAD" if order["kind"] == "load" else "ENGINE_RUN", error)
