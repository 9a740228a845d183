import { pullBack, readyToDifferentiate } from '../../autodiff/index.ts'
import { addFunctionBodies, type Batch, dropPadding, type Session } from '../../engine/index.ts'
import { asTensor, GraphBuilder, type Model, Tensor, type Value, valuesByName } from '../../ir/index.ts'
import { GradBuilder } from '../../ops/index.ts'
import { mixSeed, must, rng } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { CachedRows } from './cached-rows.ts'
import type { Unit } from './units.ts'

/**
 * Gradients, by a unit's outputs, of the log-likelihood of what the float network itself says: a class drawn from its scores, or its outputs
 * with unit variance. Their squares are the diagonal of the Fisher matrix in expectation, which stands for the Hessian of the loss
 * (BRECQ, arXiv:2102.05426, section 3.2); no labels are needed.
 */
export class FisherGradients {
  readonly #cx: QuantizedContext
  readonly #batches: readonly Batch[]

  constructor(cx: QuantizedContext, batches: readonly Batch[]) {
    this.#cx = cx
    this.#batches = batches
  }

  /**
   * |g| for all samples, in units in which the mean of g² is 1, by the name of the output.
   * @throws FewbitError AUTODIFF_* where something behind the unit has no gradient.
   */
  async of(unit: Unit): Promise<Map<string, CachedRows>> {
    const names = unit.outputs.map(({ name }) => name)
    const parts = new Map(names.map((name) => [name, [] as Tensor[]]))
    const random = rng(mixSeed(this.#cx.seed, 3))
    let open: { readonly session: Session; readonly graph: GradientGraph; readonly key: string } | undefined
    try {
      for (const batch of this.#batches) {
        this.#cx.signal?.throwIfAborted()
        const key = JSON.stringify(Object.values(batch.feeds).map(({ dims }) => dims))
        if (open?.key !== key) {
          await open?.session.release()
          const graph = gradientGraph(this.#cx, names, batch)
          open = { session: await this.#cx.engine.load(graph.model), graph, key }
        }
        const noise = open.graph.noise.map((value) => [value.name, normalOrGumbel(value, open?.graph, random)] as const)
        const made = await open.session.run({ ...batch.feeds, ...Object.fromEntries(noise) })
        const real = dropPadding(made, batch)
        for (const [name, list] of parts) list.push(must(real[must(open.graph.gradients.get(name), name)], name))
      }
    } finally {
      await open?.session.release()
    }
    return new Map([...parts].map(([name, list]) => [name, normalized(new CachedRows(list))]))
  }
}

interface GradientGraph {
  readonly model: Model
  /** Output that holds the gradient, by value. */
  readonly gradients: ReadonlyMap<string, string>
  /** Inputs for random numbers: Gumbel's for scores, normal ones for other outputs. */
  readonly noise: readonly Value[]
  readonly scores: ReadonlySet<Value>
}

function gradientGraph({ reference, ops }: QuantizedContext, names: readonly string[], batch: Batch): GradientGraph {
  const shapes = Object.fromEntries(Object.entries(batch.feeds).map(([name, { dims }]) => [name, dims]))
  const model = readyToDifferentiate(reference, ops, shapes)
  const { graph } = model
  const g = new GradBuilder(new GraphBuilder(graph), 'fisher')
  const builder = new GraphBuilder(graph)
  const values = valuesByName(graph)
  const seeds = new Map<Value, Value>()
  const scores = new Set<Value>()
  const noise: Value[] = []
  for (const output of graph.outputs.filter(({ type }) => asTensor(type)?.dtype === 'float32')) {
    const isNormalized = output.producer && ops.of(output.producer)?.quant.traits?.includes('normalizing')
    const scored = isNormalized ? must(output.producer?.inputs[0], 'scores') : output
    const drawn = builder.input(`${output.name}_noise`, scored.type)
    noise.push(drawn)
    const shape = asTensor(scored.type)?.shape
    const isScores = isNormalized || (shape?.length === 2 && shape[1] !== 1)
    if (isScores) scores.add(drawn)
    seeds.set(scored, isScores ? scoreGradient(g, scored, drawn) : drawn)
  }
  const by = names.map((name) => must(values.get(name), `value "${name}"`))
  const found = pullBack(model, ops, seeds, by)
  graph.outputs.length = 0
  const gradients = names.map((name, i) => {
    return [name, builder.output(g.op('Identity', [must(found[i], 'gradient')])).name] as const
  })
  addFunctionBodies(model, ops)
  return { model, gradients: new Map(gradients), noise, scores }
}

/** The gradient of log p(c) by the scores, c drawn by p = Softmax(scores): a 1 at c less p. The largest of scores and Gumbel noise is such a c. */
function scoreGradient(g: GradBuilder, scores: Value, gumbel: Value): Value {
  const noisy = g.add(scores, gumbel)
  const largest = g.op('ReduceMax', [noisy, g.ints([1])])
  const drawn = g.cast(g.op('Equal', [noisy, largest]), 'float32')
  return g.sub(drawn, g.op('Softmax', [scores], {}))
}

function normalOrGumbel(value: Value, graph: GradientGraph | undefined, random: ReturnType<typeof rng>): Tensor {
  const dims = asTensor(value.type)?.shape as readonly number[]
  const size = dims.reduce((n, d) => n * d, 1)
  const isGumbel = graph?.scores.has(value)
  const draw = isGumbel ? () => -Math.log(-Math.log(random.next() || 1e-12)) : random.normal
  return Tensor.float32(dims, Float32Array.from({ length: size }, draw))
}

function normalized(rows: CachedRows): CachedRows {
  const all = rows.all()
  const values = all.numbers()
  let sum = 0
  for (const g of values) sum += g * g
  const unit = sum > 0 ? Math.sqrt(values.length / sum) : 0
  return new CachedRows([
    Tensor.float32(
      all.dims,
      Float32Array.from(values, (g) => Math.abs(g) * unit),
    ),
  ])
}
