import { type Engine, type Feeds, probeModel } from '@fewbit/core/engine'
import {
  cloneModel,
  GraphBuilder,
  graphValues,
  type Model,
  type Node,
  replaceUses,
  Tensor,
  type Value,
} from '@fewbit/core/ir'
import type { Case, Values } from './backend.ts'
import { type Arithmetic, dequantized, joined, simulated } from './cases.ts'

/**
 * The simulation of each kernel on the inputs that the engine's own kernel had: every quantized value that the engine showed takes the
 * place of the simulated one for its readers. What differs is then the kernel's doing, and not what came down from the layers
 * before it.
 */
export async function simulateKernels(
  cx: Case,
  engine: Engine,
  shown: Values,
  arithmetic: Arithmetic,
): Promise<Values> {
  const names = new Map([...dequantized(cx)].filter(([value]) => shown.has(value)))
  const dims = await dimsOf(cx, engine, names)
  const session = await engine.load(simulated(cutModel(cx.quantized, [...names.values()]), arithmetic), {
    optimization: 'simulate',
  })
  try {
    const runs: Feeds[] = []
    for (const [i, sample] of cx.samples.entries()) {
      const feeds: Record<string, Tensor> = { ...sample }
      for (const [value, name] of names)
        feeds[fedName(name)] = nth(shown.get(value) ?? [], i, cx.samples.length, dims.get(name) ?? [])
      runs.push(await session.run(feeds))
    }
    const values = joined(runs)
    return new Map([...names].map(([value, name]) => [value, values.get(name) ?? []]))
  } finally {
    await session.release()
  }
}

const fedName = (name: string): string => `${name}_fed`

/** A copy whose dequantized values of these names are outputs, while their readers read inputs on the same grid instead. */
function cutModel(model: Model, names: readonly string[]): Model {
  const copy = probeModel(cloneModel(model), names)
  const values = new Map([...graphValues(copy.graph)].map((value) => [value.name, value]))
  for (const name of names) {
    const value = values.get(name) as Value
    const uses = value.uses()
    const b = new GraphBuilder(copy.graph, { after: value.producer as Node })
    const fed = b.input(fedName(name), value.type)
    replaceUses(uses, onGrid(b, fed, value.producer as Node))
  }
  return copy
}

/** Real values on the grid of a DequantizeLinear, or of the float nodes that end a fake quantizer, as codes dequantized. */
function onGrid(b: GraphBuilder, fed: Value, { opType, inputs }: Node): Value {
  const [codes, ...parameters] = inputs
  if (opType === 'DequantizeLinear') {
    const quantized = b.op('QuantizeLinear', [fed, ...parameters], {}, { types: [codes?.type] })
    return b.op('DequantizeLinear', [quantized, ...parameters], {}, { types: [fed.type] })
  }
  const [clipped, zero] = codes?.producer?.inputs ?? []
  const bounds = clipped?.producer?.inputs.slice(1) ?? []
  const [scale] = parameters
  if (!scale || !zero || clipped?.producer?.opType !== 'Clip') return fed
  const steps = b.op('Add', [b.op('Round', [b.op('Div', [fed, scale])]), zero])
  return b.op('Mul', [b.op('Sub', [b.op('Clip', [steps, ...bounds]), zero]), scale], {}, { types: [fed.type] })
}

async function dimsOf(cx: Case, engine: Engine, names: ReadonlyMap<string, string>) {
  const session = await engine.load(probeModel(cx.quantized, [...names.values()]), { optimization: 'simulate' })
  try {
    const outputs = await session.run(cx.samples[0] ?? {})
    return new Map([...names.values()].map((name) => [name, outputs[name]?.dims ?? []]))
  } finally {
    await session.release()
  }
}

function nth(values: ArrayLike<number>, i: number, count: number, dims: readonly number[]): Tensor {
  const size = values.length / count
  return Tensor.float32(
    dims,
    Float32Array.from({ length: size }, (_, k) => values[i * size + k] as number),
  )
}
