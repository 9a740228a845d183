import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Model, modelFromOnnx, printType, Tensor, type Value, type ValueType } from '@fewbit/core/ir'
import {
  bytesSource,
  decodeModel,
  decodeTensor,
  tensorDims,
  tensorDType,
  tensorSource,
  tensorStrings,
} from '@fewbit/core/onnx'
import type { OpRegistry } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { Diagnostics } from '@fewbit/core/util'

/** One case of the ONNX backend suite: a folder with `model.onnx` and numbered tensors for inputs and outputs. */
export interface BackendCase {
  readonly name: string
  readonly modelPath: string
  /** One entry per `test_data_set_*`, with files in the order of the graph's inputs and outputs. */
  readonly dataSets: readonly { readonly inputs: readonly string[]; readonly outputs: readonly string[] }[]
}

/** The cases of an extracted folder (`node`, `simple`, `pytorch-operator`, …), by name. */
export function backendCases(folder: string): BackendCase[] {
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, modelPath: join(folder, name, 'model.onnx'), dataSets: dataSets(join(folder, name)) }))
    .filter(({ modelPath }) => existsSync(modelPath))
}

function dataSets(folder: string): BackendCase['dataSets'] {
  const sets = readdirSync(folder).filter((entry) => entry.startsWith('test_data_set_'))
  return sets.map((set) => ({
    inputs: numbered(join(folder, set), 'input'),
    outputs: numbered(join(folder, set), 'output'),
  }))
}

function numbered(folder: string, kind: string): string[] {
  const number = (file: string): number => Number(/_(\d+)\.pb$/.exec(file)?.[1])
  const files = readdirSync(folder).filter((file) => file.startsWith(`${kind}_`) && file.endsWith('.pb'))
  return files.sort((a, b) => number(a) - number(b)).map((file) => join(folder, file))
}

const readCaseModel = (path: string): Model => modelFromOnnx(decodeModel(bytesSource(readFileSync(path))))

/** A `TensorProto` file as a tensor. */
export function readCaseTensor(path: string): Tensor {
  const proto = decodeTensor(bytesSource(readFileSync(path)))
  const dtype = tensorDType(proto)
  if (dtype === 'string') return Tensor.strings(tensorDims(proto), tensorStrings(proto))
  return new Tensor(dtype, tensorDims(proto), tensorSource(proto))
}

export interface ShapeCheck {
  readonly output: string
  /** `open`: nothing contradicts the tensor, but a dimension or the type is not known. */
  readonly verdict: 'exact' | 'open' | 'wrong'
  readonly inferred: string
  readonly expected: string
}

export interface ShapeCheckOptions {
  readonly ops: OpRegistry
  /** Gives the case's inputs to inference as constants, so that shapes that depend on elements are checked too. */
  readonly bindInputs?: boolean
  readonly diagnostics?: Diagnostics
}

/** Infers a case's graph outputs from its inputs alone and compares them with the expected tensors of its first data set. */
export function checkShapes(backendCase: BackendCase, options: ShapeCheckOptions): ShapeCheck[] {
  const model = readCaseModel(backendCase.modelPath)
  const files = backendCase.dataSets[0] ?? { inputs: [], outputs: [] }
  const declared = model.graph.outputs.map((value) => value.type)
  if (options.bindInputs) bindInputs(model, files.inputs)
  inferShapes(model, { ops: options.ops, diagnostics: options.diagnostics ?? new Diagnostics(), trustDeclared: false })
  return model.graph.outputs.flatMap((value, i) => {
    const file = files.outputs[i]
    return file && declared[i]?.kind === 'tensor' ? [compare(value, readCaseTensor(file))] : []
  })
}

/** Makes initializers of the graph inputs that are small enough to hold shapes, axes and scales. */
export function bindInputs(model: Model, files: readonly string[]): void {
  const { graph } = model
  const inputs = graph.inputs.filter((value) => !graph.initializers.has(value))
  inputs.forEach((value, i) => {
    const file = files[i]
    if (!file || value.type?.kind !== 'tensor') return
    const tensor = readCaseTensor(file)
    if (tensor.dims.length > 1 || tensor.dtype === 'string') return
    value.constant = tensor
    graph.initializers.add(value)
    graph.inputs.splice(graph.inputs.indexOf(value), 1)
  })
}

function compare(value: Value, tensor: Tensor): ShapeCheck {
  const expected = printType({ kind: 'tensor', dtype: tensor.dtype, shape: tensor.dims })
  return { output: value.name, verdict: verdict(value.type, tensor), inferred: printType(value.type), expected }
}

function verdict(type: ValueType | undefined, tensor: Tensor): ShapeCheck['verdict'] {
  if (!type) return 'open'
  if (type.kind !== 'tensor' || type.dtype !== tensor.dtype) return 'wrong'
  if (!type.shape) return 'open'
  if (type.shape.length !== tensor.dims.length) return 'wrong'
  if (type.shape.some((d, i) => typeof d === 'number' && d !== tensor.dims[i])) return 'wrong'
  return type.shape.every((d) => typeof d === 'number') ? 'exact' : 'open'
}
