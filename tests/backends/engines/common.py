"""What the scripts of all engines share: one folder in, two archives out.

python ENGINE.py FOLDER

The folder holds the engine's artefacts, `job.json`, and `inputs.npz` with one array for each input, samples along a first axis of
its own in front of the batch axis. The script writes `outputs.npz` (arrays by output name, samples along the first axis), `layers.npz`
(intermediates by value name, dequantized; may be empty), and prints {"version": ...} as its last line.
"""

import json
import os
import sys

import numpy as np


class Job:
    def __init__(self):
        self.folder = sys.argv[1]
        with open(self.path("job.json")) as file:
            self.settings = json.load(file)
        arrays = np.load(self.path("inputs.npz"))
        self.inputs = {name: arrays[name] for name in arrays.files}
        self.count = len(next(iter(self.inputs.values())))
        self.results = {"outputs": {}, "layers": {}}

    def path(self, name):
        return os.path.join(self.folder, name)

    def __getitem__(self, key):
        return self.settings[key]

    def samples(self):
        """One dictionary of arrays for each sample."""
        for i in range(self.count):
            yield {name: array[i] for name, array in self.inputs.items()}

    def add(self, kind, name, value):
        """Keeps the value of one sample: kind is outputs or layers."""
        self.results[kind].setdefault(name, []).append(np.array(value, np.float32))

    def finish(self, version):
        for kind, values in self.results.items():
            np.savez(self.path(kind + ".npz"), **{name: np.stack(each) for name, each in values.items()})
        print(json.dumps({"version": version}))
