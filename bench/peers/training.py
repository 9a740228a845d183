"""Losses, optimizers and training of a small network in PyTorch, as numbers to compare with.

    training.py > packages/core/src/training/torch.json.golden

Data are sines, so that nothing has to be stored: wave(n, f, s)[i] = float32(s * sin(f * (i + 1))).
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def wave(dims, f, s=1.0):
    n = int(np.prod(dims))
    return torch.from_numpy((s * np.sin(f * (np.arange(n) + 1.0))).astype(np.float32)).reshape(dims)


def numbers(t):
    return [float(f"{v:.9g}") for v in t.detach().flatten().tolist()]


def losses():
    labels = torch.tensor([1, 4, 0, 2])
    target, teacher = wave((4, 5), 0.7, 2.0), wave((4, 5), 1.9, 3.0)
    signs = 2 * F.one_hot(labels, 5).float() - 1
    t = 3.0
    cases = {
        "cross-entropy": lambda x: F.cross_entropy(x, labels),
        "cross-entropy:labelSmoothing=0.1": lambda x: F.cross_entropy(x, labels, label_smoothing=0.1),
        "mse": lambda x: F.mse_loss(x, target),
        "lp:p=2.4": lambda x: (x - target).abs().pow(2.4).mean(),
        "lp:p=2,reduction=channels": lambda x: (x - target).abs().pow(2).sum(1).mean(),
        "lp:p=1": lambda x: F.l1_loss(x, target),
        "cosine-distance": lambda x: (1 - F.cosine_similarity(x, target)).mean(),
        "distillation:temperature=3": lambda x: t * t * F.kl_div(
            F.log_softmax(x / t, 1), F.softmax(teacher / t, 1), reduction="batchmean"),
        "hinge:form=multi-class,power=1": lambda x: F.multi_margin_loss(x, labels, p=1),
        "hinge:form=multi-class,power=2,margin=2": lambda x: F.multi_margin_loss(x, labels, p=2, margin=2.0),
        "hinge": lambda x: F.relu(1 - signs * x).square().mean(),
        "0.3*cross-entropy + 0.7*distillation:temperature=3": lambda x: 0.3 * F.cross_entropy(x, labels) + 0.7 * t * t
        * F.kl_div(F.log_softmax(x / t, 1), F.softmax(teacher / t, 1), reduction="batchmean"),
    }
    found = {}
    for name, loss in cases.items():
        x = wave((4, 5), 1.3, 1.5).requires_grad_()
        value = loss(x)
        value.backward()
        found[name] = {"loss": numbers(value)[0], "gradient": numbers(x.grad)}
    return found


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd:weightDecay=0.05": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.05),
    "sgd:momentum=0.9": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "sgd:momentum=0.9,nesterov=true,weightDecay=0.05": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adam:beta1=0.8,beta2=0.95,epsilon=0.001,weightDecay=0.05": lambda p: torch.optim.Adam(
        p, lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "adamw:weightDecay=0.2": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.2),
}


def optimizers():
    """A parameter after each of six steps along gradients that do not depend on it."""
    found = {}
    for name, make in OPTIMIZERS.items():
        p = wave((6,), 0.9).requires_grad_()
        optimizer, steps = make([p]), []
        for step in range(6):
            p.grad = wave((6,), 1.1 + 0.3 * step, 0.5)
            optimizer.step()
            steps.append(numbers(p))
        found[name] = steps
    return found


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(4)
        self.depthwise = torch.nn.Conv2d(4, 4, 3, padding=1, stride=2, groups=4)
        self.last = torch.nn.Linear(4, 3)
        with torch.no_grad():
            for i, (name, p) in enumerate(self.named_parameters()):
                p.copy_(wave(p.shape, 1.7 + 0.1 * i, 0.5) + (1.0 if name == "norm.weight" else 0.0))

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = F.relu(self.depthwise(x))
        return self.last(x.mean((2, 3)))


NETWORKS = {
    "sgd:momentum=0.9,nesterov=true,weightDecay=0.001": lambda p: torch.optim.SGD(
        p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.001),
    "adamw:weightDecay=0.1": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


def networks():
    found = {}
    for name, make in NETWORKS.items():
        network, report = Network(), {"loss": [], "norm": []}
        optimizer = make(network.parameters())
        for step in range(6):
            x = wave((8, 2, 6, 6), 0.37 + 0.01 * step, 1.5)
            labels = torch.arange(8).add(step).remainder(3)
            loss = F.cross_entropy(network(x), labels)
            optimizer.zero_grad()
            loss.backward()
            report["norm"].append(numbers(torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5))[0])
            report["loss"].append(numbers(loss)[0])
            optimizer.step()
        state = {key: numbers(v) for key, v in network.state_dict().items() if v.dtype == torch.float32}
        found[name] = {**report, "state": state}
    return found


print(json.dumps({"losses": losses(), "optimizers": optimizers(), "networks": networks()}))
