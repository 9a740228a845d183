"""What engines in Python have in common: reads orders from stdin and writes answers to stdout.

A message is its length (8 bytes), the length of its head (4 bytes), a head in JSON, and bytes; lengths are big-endian. A network that fewbit has
exported is a message inside of one: its head names inputs, outputs and files, and the files stand behind it.
"""

import importlib
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


def failed(code, message, fix=None):
    answer({"error": [{"code": code, "level": "error", "message": message, **({"fix": fix} if fix else {})}]})


def last_line(error):
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def opened(message):
    """Head and body of a message."""
    (length,) = struct.unpack(">I", message[:4])
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def needed(title, packages):
    """Modules by name, for modules and the packages that bring them; says what to install and ends where one is missing."""
    found, missing = {}, []
    for module, package in packages.items():
        try:
            found[module] = importlib.import_module(module)
        except ImportError as error:
            missing.append(package)
            why = last_line(error)
    if missing:
        install = f"install it: {sys.executable} -m pip install {' '.join(dict.fromkeys(missing))}"
        failed("ENGINE_LOAD", f"{title}: {why}", f"{install} (FEWBIT_PYTHON names another interpreter)")
        sys.exit(0)
    return found


class Network:
    """A network that fewbit has exported: `inputs` and `outputs` with name, shape and order of axes, and `files` by name."""

    def __init__(self, message):
        head, body = opened(message)
        self.inputs, self.outputs, self.is_quantized = head["inputs"], head["outputs"], head["quantized"]
        self.files, at = {}, 0
        for file in head["files"]:
            self.files[file["name"]] = bytes(body[at : at + file["bytes"]])
            at += file["bytes"]

    def write(self, folder):
        for name, content in self.files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)

    def file(self, ending):
        """The name of the file with this ending."""
        return next(name for name in self.files if name.endswith(ending))

    def describe(self):
        """Inputs and outputs as a session shows them."""
        of = lambda values: [{"name": v["name"], "dtype": "float32", "shape": v["shape"]} for v in values]
        return of(self.inputs), of(self.outputs)


class Host:
    """Keeps sessions by number and obeys orders. `load` makes a session of a body: `inputs`, `outputs`, and `run(feeds)` to arrays by name."""

    def __init__(self, title, load):
        import numpy

        self.title, self.load, self.numpy, self.sessions = title, load, numpy, {}

    def obey(self, order, body):
        if order["kind"] == "load":
            session = self.load(body)
            number = max(self.sessions, default=-1) + 1
            self.sessions[number] = session
            answer({"loaded": {"session": number, "inputs": session.inputs, "outputs": session.outputs}})
        elif order["kind"] == "run":
            self.run(order, body)
        else:
            # Of a program that ended before this one there is nothing left.
            self.sessions.pop(order["session"], None)
            answer({})

    def run(self, order, body):
        feeds, at = {}, 0
        for head in order["feeds"]:
            raw = body[at : at + head["bytes"]]
            at += head["bytes"]
            feeds[head["name"]] = self.numpy.frombuffer(raw, dtype=head["dtype"]).reshape(head["dims"])
        wanted, heads, parts = order.get("wanted"), [], []
        for name, array in self.sessions[order["session"]].run(feeds).items():
            if wanted is not None and name not in wanted:
                continue
            array = self.numpy.ascontiguousarray(array)
            heads.append({"name": name, "dtype": str(array.dtype), "dims": list(array.shape), "bytes": array.nbytes})
            parts.append(array.tobytes())
        answer({"outputs": heads}, b"".join(parts))


def serve(name, title, version, load):
    """Introduces the engine and obeys until nobody asks any more."""
    host = Host(title, load)
    answer({"ready": {"name": name, "version": version, "threads": os.cpu_count() or 1}})
    while True:
        size = sys.stdin.buffer.read(8)
        if len(size) < 8:
            break
        order, body = opened(sys.stdin.buffer.read(struct.unpack(">Q", size)[0]))
        try:
            host.obey(order, body)
        except Exception as error:
            failed("ENGINE_LOAD" if order["kind"] == "load" else "ENGINE_RUN", f"{title}: {last_line(error)}")
