import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Feeds, LoadOptions } from '@fewbit/core/engine'
import { qoperator } from '@fewbit/core/exporters'
import {
  type Attribute,
  attribute,
  cloneModel,
  Graph,
  GraphBuilder,
  Model,
  readModel,
  serializeModel,
  Tensor,
  tensorType,
  type Value,
  valuesByName,
} from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import {
  materialize,
  measuredTensors,
  type ParamsTable,
  type PlannerOptions,
  planQuantization,
  type QuantPlan,
  type Range,
  resolveParams,
} from '@fewbit/core/quant'
import { onnxruntime } from '@fewbit/core/targets'
import { Diagnostics, rng } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { randomFeeds } from '@fewbit/testkit'

const engine = nodeEngine({ threads: 1 })

/** A graph under construction with weights from one seed. */
export class SmallNet {
  readonly graph = new Graph('small')
  readonly builder = new GraphBuilder(this.graph)
  readonly #rng = rng(7)

  input(name: string, shape: readonly number[]): Value {
    return this.builder.input(name, tensorType('float32', shape))
  }

  weight(name: string, dims: readonly number[], spread = 0.3): Value {
    const count = dims.reduce((n, d) => n * d, 1)
    return this.builder.constant(
      name,
      Tensor.float32(
        dims,
        Float32Array.from({ length: count }, () => spread * this.#rng.normal()),
      ),
    )
  }

  ints(name: string, values: readonly number[]): Value {
    return this.builder.constant(name, Tensor.int64([values.length], values))
  }

  scalar(name: string, value: number): Value {
    return this.builder.constant(name, Tensor.float32([], [value]))
  }

  op(type: string, inputs: readonly (Value | null)[], attributes: Record<string, Attribute> = {}): Value {
    return this.builder.op(type, inputs, attributes)
  }

  conv(x: Value, name: string, dims: readonly number[], attributes: Record<string, Attribute> = {}): Value {
    const inputs = [x, this.weight(`${name}_w`, dims), this.weight(`${name}_b`, [dims[0] ?? 1])]
    return this.builder.op('Conv', inputs, attributes, { name })
  }

  /** Declares the outputs under their names and closes the model. */
  model(outputs: Readonly<Record<string, Value>>, opset = 17): Model {
    for (const [name, value] of Object.entries(outputs)) {
      value.name = name
      this.builder.output(value)
    }
    const model = new Model(this.graph)
    model.opsets.set('', opset)
    model.irVersion = 10
    inferShapes(model, { ops: defaultOps })
    return model
  }
}

export const same = { pads: attribute.ints([1, 1, 1, 1]) }

export interface SmallResult {
  readonly plan: QuantPlan
  readonly model: Model
  /** Operators of the graph after ONNX Runtime's own rewriting, sorted. */
  readonly optimizedOps: readonly string[]
  readonly float: Feeds
  readonly integer: Feeds
  readonly simulated: Feeds
  readonly diagnostics: Diagnostics
  readonly feeds: Feeds
  readonly params: ParamsTable
  /** Of the form with integer operators, with its operators. */
  readonly operators: { readonly ops: readonly string[]; readonly outputs: Feeds }
}

/** Plans, measures on one random feed, materializes and runs: float, fused integers, and unfused simulation. */
export async function quantizeSmall(float: Model, options: PlannerOptions = {}): Promise<SmallResult> {
  const plan = planQuantization(float, onnxruntime, defaultOps, options)
  const feeds = randomFeeds(float, 3)
  const names = measuredTensors(plan).map((t) => t.value)
  const activations = await ranges(float, feeds, names)
  const diagnostics = new Diagnostics()
  const params = resolveParams(float, plan, { activations }, diagnostics)
  const model = materialize(cloneModel(float), plan, params)
  const bytes = serializeModel(model)
  const { ops, outputs: integer } = await runOptimized(bytes, feeds)
  const [written] = qoperator.emit({ name: 'small', model: cloneModel(float), plan, params, target: onnxruntime })
  const operators = written?.kind === 'model' ? written.model : float
  return {
    plan,
    model,
    optimizedOps: ops,
    float: await run(serializeModel(float), feeds, {}),
    integer,
    simulated: await run(bytes, feeds, { optimization: 'simulate' }),
    diagnostics,
    feeds,
    params,
    operators: {
      ops: [...operators.graph.nodes].map((node) => node.opType).sort(),
      outputs: await run(serializeModel(operators), feeds, {}),
    },
  }
}

async function ranges(model: Model, feeds: Feeds, names: readonly string[]): Promise<Map<string, Range>> {
  const copy = cloneModel(model)
  const values = valuesByName(copy.graph)
  for (const name of names) {
    const value = values.get(name)
    if (value && !copy.graph.isOutput(value) && !copy.graph.isInput(value)) copy.graph.outputs.push(value)
  }
  const results = { ...feeds, ...(await run(serializeModel(copy), feeds, { optimization: 'none' })) }
  return new Map(
    names.map((name) => {
      const data = results[name]?.numbers() ?? []
      return [name, { lo: Math.min(...data), hi: Math.max(...data) }]
    }),
  )
}

export async function run(bytes: Uint8Array, feeds: Feeds, options: LoadOptions): Promise<Feeds> {
  const session = await engine.load(bytes, options)
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

/** Runs with full optimization. @returns the operators of the graph that ONNX Runtime made, sorted, and the outputs. */
export async function runOptimized(bytes: Uint8Array, feeds: Feeds): Promise<{ ops: string[]; outputs: Feeds }> {
  const folder = mkdtempSync(join(tmpdir(), 'fewbit-'))
  try {
    const file = join(folder, 'optimized.onnx')
    const outputs = await run(bytes, feeds, { saveOptimized: file })
    const optimized = readModel(readFileSync(file))
    return { ops: [...optimized.graph.nodes].map((node) => node.opType).sort(), outputs }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Largest difference between two tensors. */
export function maxDifference(a: Tensor | undefined, b: Tensor | undefined): number {
  const [x, y] = [a?.numbers() ?? [], b?.numbers() ?? []]
  if (x.length === 0 || x.length !== y.length) return Infinity
  return Math.max(0, ...Array.from(x, (value, i) => Math.abs(value - (y[i] as number))))
}
