"""Writes the operator schemas that the onnx package knows, as the oracle of packages/core/src/ops/schemas.test.ts.

    pip install onnx && python tools/dump-onnx-schemas.py > packages/core/src/ops/onnx-schemas.json.golden

One line per operator; only the versions that changed the signature carry one. Parameters are marked `?` (optional) and
`...` (variadic); an attribute is [kind, required, default].
"""

import json

from onnx import defs, helper

LAST_OPSET = 25
MARKS = {defs.OpSchema.FormalParameterOption.Optional: "?", defs.OpSchema.FormalParameterOption.Variadic: "..."}


def default_of(attribute):
    proto = attribute.default_value
    if proto is None or proto.type == 0:
        return None
    value = helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if hasattr(value, "__iter__"):
        return [v.decode() if isinstance(v, bytes) else v for v in value]
    return value


def signature(schema):
    mark = lambda p: p.name + MARKS.get(p.option, "")
    kind = lambda a: str(a.type).split(".")[-1].lower().replace("type_proto", "type")
    return {
        "inputs": [mark(p) for p in schema.inputs],
        "outputs": [mark(p) for p in schema.outputs],
        "attrs": {n: [kind(a), bool(a.required), default_of(a)] for n, a in sorted(schema.attributes.items())},
    }


def main():
    operators = {}
    for schema in sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.name, s.since_version)):
        if schema.domain == "" and schema.since_version <= LAST_OPSET:
            operators.setdefault(schema.name, {})[schema.since_version] = signature(schema)
    rows = []
    for name, versions in operators.items():
        previous = None
        row = {}
        for version, sig in versions.items():
            row[version] = None if sig == previous else sig
            previous = sig
        rows.append(f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}")
    print("{\n" + ",\n".join(rows) + "\n}")


main()
