"""Gradients that ONNX Runtime computed against PyTorch's autograd: python compare.py FOLDER prints a JSON list.

FOLDER/tasks.json lists tasks: an ONNX file, its feeds, seeds of its outputs, and gradients of the sum of seed times output.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from onnx_torch import run


def tensor(folder, entry):
    data = np.frombuffer((folder / entry['file']).read_bytes(), entry['dtype']).reshape(entry['dims'])
    return torch.from_numpy(data.copy())


def gradients(folder, task, dtype):
    graph = onnx.load(folder / task['model']).graph
    cast = lambda v: v.to(dtype) if v.is_floating_point() and v.dtype == torch.float32 else v
    values = {i.name: cast(torch.from_numpy(numpy_helper.to_array(i).copy())) for i in graph.initializer}
    values.update({name: cast(tensor(folder, entry)) for name, entry in task['feeds'].items()})
    for name in task['gradients']:
        values[name].requires_grad_()
    outputs = run(graph, dict(values))
    loss = sum((outputs[name] * cast(tensor(folder, entry))).sum() for name, entry in task['seeds'].items())
    names = list(task['gradients'])
    found = torch.autograd.grad(loss, [values[name] for name in names], allow_unused=True)
    return {n: torch.zeros_like(values[n]) if g is None else g.detach() for n, g in zip(names, found)}


def fingerprint(gradient):
    flat = gradient.double().reshape(-1)
    return [(flat * torch.cos(torch.arange(len(flat), dtype=torch.float64))).sum().item(), flat.norm().item()]


def compared(folder, task):
    try:
        theirs = gradients(folder, task, torch.float32)
        exact = gradients(folder, task, torch.float64) if task.get('exact', True) else theirs
    except Exception as error:  # Reported with the others: one graph that PyTorch does not take is no reason to stop.
        return {'name': task['name'], 'failure': f'{type(error).__name__}: {error}'}
    rows = {}
    largest = max(reference.abs().max().item() for reference in exact.values())
    for name, reference in exact.items():
        ours = tensor(folder, task['gradients'][name]).double()
        own = reference.abs().max().item()
        # What is zero but for rounding, as the gradient of a bias of keys before Softmax, has no size of its own.
        size = max(own if own > 1e-12 * largest else largest, 1e-30)
        error = lambda g: (g.double() - reference.double()).abs().max().item() / size
        rows[name] = {'ours': error(ours), 'torch': error(theirs[name]), 'fingerprint': fingerprint(reference)}
    return {'name': task['name'], 'gradients': rows}


folder = Path(sys.argv[1])
print(json.dumps([compared(folder, task) for task in json.loads((folder / 'tasks.json').read_text())]))
