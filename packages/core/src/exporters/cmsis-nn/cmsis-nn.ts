import { type Model, type Value, valuesByName } from '../../ir/index.ts'
import { type Diagnostic, Diagnostics, encodeUtf8, must, problem } from '../../util/index.ts'
import { complete } from '../completeness.ts'
import type { ExportContext, Exporter } from '../define.ts'
import type { TfGraph, TfOperator, TfTensor } from '../tflite/graph.ts'
import { holdsInt8 } from '../tflite/int8.ts'
import { translate } from '../tflite/translate.ts'
import { comment, float, identifier, number } from './c-text.ts'
import { type Emitted, Layer } from './layer.ts'
import { LAYERS } from './layers.ts'

/** A C header for CMSIS-NN's int8 functions, whose arithmetic is TensorFlow Lite's. Images are NHWC. */
export const cmsisNn: Exporter = {
  name: 'cmsis-nn',
  summary: 'C header with weights, biases, multipliers, shifts and layer parameters for CMSIS-NN (int8)',
  check(cx) {
    const found = complete(cx, { holds: holdsInt8 })
    return found.length > 0 ? found : [...written(cx).problems]
  },
  emit(cx) {
    const { text, problems } = written(cx)
    const [first] = problems
    if (first) throw problem(first.code, first.message, first)
    return [{ kind: 'file', name: `${cx.name}.h`, bytes: encodeUtf8(must(text, 'header')) }]
  },
}

function written(cx: ExportContext): { readonly text?: string; readonly problems: readonly Diagnostic[] } {
  const { graph, problems } = translate(cx)
  if (!graph || problems.length > 0) return { problems }
  const prefix = identifier(cx.name)
  const layers = graph.operators.map((op, i) => new Layer(graph, op, `${prefix}_${i}`))
  const emitted = layers.map((layer) => (layer.isInt8() ? LAYERS[layer.op.type]?.(layer) : undefined))
  const lacking = layers.filter((_, i) => emitted[i] === undefined)
  if (lacking.length > 0) return { problems: lackingProblems(lacking, cx.model) }
  return { text: header(prefix, cx.name, graph, layers, emitted as Emitted[]), problems: [] }
}

/** Each node that makes what the library cannot. */
function lackingProblems(lacking: readonly Layer[], model: Model): readonly Diagnostic[] {
  const diagnostics = new Diagnostics()
  const values = valuesByName(model.graph)
  const seen = new Set<string>()
  // Conversions are the doing of the float operators around them.
  const makers = lacking.filter(({ op }) => op.type !== 'QUANTIZE' && op.type !== 'DEQUANTIZE')
  for (const layer of makers.length > 0 ? makers : lacking) {
    const node = nodeBehind(layer, values)
    const name = node ?? layer.output().name
    if (seen.has(name)) continue
    seen.add(name)
    const why = layer.isInt8() ? `CMSIS-NN has no function for this ${layer.op.type}` : 'it is computed in float'
    diagnostics.error('EXPORT_OPERATOR', `"${name}" cannot be written: ${why}`, {
      at: node === undefined ? { value: name } : { node },
      fix: 'plan for the target cmsis-nn, or choose another exporter',
    })
  }
  return diagnostics.list
}

/** The ONNX node of an operator: tensors go by the names of values, with a suffix where there are several of one. */
function nodeBehind(layer: Layer, values: ReadonlyMap<string, Value>): string | undefined {
  for (let name = layer.output().name; name !== ''; name = name.slice(0, Math.max(name.lastIndexOf('_'), 0))) {
    const producer = values.get(name)?.producer
    if (producer) return producer.name
  }
  return undefined
}

function header(
  prefix: string,
  name: string,
  graph: TfGraph,
  layers: readonly Layer[],
  emitted: readonly Emitted[],
): string {
  const guard = `${prefix.toUpperCase()}_H`
  return [
    `/* ${comment(name)}: layers for the int8 functions of CMSIS-NN, in order. Images are NHWC. Written by fewbit. */`,
    `#ifndef ${guard}`,
    `#define ${guard}`,
    '',
    '#include "arm_nn_types.h"',
    '',
    ...tensorLines(prefix, graph),
    '',
    ...layers.flatMap((layer, i) => layerLines(layer, i, must(emitted[i], 'layer'))),
    `#endif`,
    '',
  ].join('\n')
}

/** Buffers by number: what each layer reads and writes. */
function tensorLines(prefix: string, graph: TfGraph): string[] {
  const ends = new Map([
    ...graph.inputs.map((i) => [i, 'input'] as const),
    ...graph.outputs.map((i) => [i, 'output'] as const),
  ])
  return graph.tensors.flatMap((tensor, i) => {
    if (tensor.data) return []
    const size = tensor.shape.reduce((n, d) => n * d, 1)
    const end = ends.get(i)
    return [
      `/* tensor ${i}${end ? `, ${end}` : ''}: ${comment(tensor.name)} [${tensor.shape.join(', ')}] */`,
      number(`${prefix}_tensor_${i}_size`, size),
      ...gridLines(`${prefix}_tensor_${i}`, tensor),
    ]
  })
}

function gridLines(name: string, { quantization }: TfTensor): string[] {
  const { scale, zeroPoint } = must(quantization, 'quantization')
  return [`#define ${name}_scale (${float(must(scale[0], 'scale'))})`, number(`${name}_zero_point`, zeroPoint[0] ?? 0)]
}

function layerLines(layer: Layer, i: number, { call, lines }: Emitted): string[] {
  const { op } = layer
  const reads = activations(op, layer).join(', ')
  return [`/* layer ${i}: ${op.type}, ${call}; tensor ${reads} to ${op.outputs.join(', ')} */`, ...lines, '']
}

/** Tensors that earlier layers made. */
const activations = (op: TfOperator, layer: Layer): number[] => op.inputs.filter((_, i) => !layer.input(i).data)
