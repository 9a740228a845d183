import { highsSolver, nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, valuesByName } from '../../ir/index.ts'
import { fakeQuantize, paramsFromData, parseScheme, perChannel, quantSpec, schemeRules } from '../../quant/index.ts'
import { coreml } from '../../targets/coreml.ts'
import { must, rng } from '../../util/index.ts'
import { evaluate } from '../evaluate.ts'
import { type Produced, produce } from '../produce.ts'
import { Run } from '../run.ts'
import { type AllocateOptions, allocate } from './allocate.ts'
import { type Allocation, allocationOptions, parseAllocation } from './allocation.ts'
import { noiseOf } from './output-errors.ts'

const engine = nodeEngine({ threads: 1 })
const PICTURES = memoryData(normalData({ x: [1, 4, 8, 8] }, 12))
const COMMON = { engine, solver: highsSolver(), smallLayers: 'integer', points: 0 } as const

const allocated = async (model: Model, options: Partial<AllocateOptions> = {}): Promise<Allocation> => {
  const calibration = { data: PICTURES, observer: 'minmax' }
  const given = { ...COMMON, bits: [4, 8], budgets: [{ measure: 'size', limit: 0.75, of: 'w8' }], calibration } as const
  return (await allocate(model, { ...given, ...options })).allocation
}

const quantized = (model: Model, allocation: Allocation): Promise<Produced> => {
  const read = parseAllocation(JSON.stringify(allocation))
  const options = { engine, ...allocationOptions(read), calibration: { data: PICTURES, observer: 'minmax' } }
  return produce(model, options, new Run(options))
}

/** Matrices as rows. */
type Matrix = readonly (readonly number[])[]
const product = (a: Matrix, b: Matrix): number[][] =>
  a.map((row) => must(b[0], 'row').map((_, j) => row.reduce((sum, v, k) => sum + v * must(b[k], 'row')[j]!, 0)))
const minus = (a: Matrix, b: Matrix): number[][] => a.map((row, i) => row.map((v, j) => v - b[i]![j]!))
const squares = (a: Matrix): number => a.flat().reduce((sum, v) => sum + v * v, 0)
const relu = (a: Matrix): number[][] => a.map((row) => row.map((v) => Math.max(0, v)))
const rows = (values: ArrayLike<number>, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, i) =>
    Array.from({ length: width }, (_, j) => values[i * width + j]!),
  )
const softmax = (row: readonly number[]): number[] => {
  const powers = row.map((v) => Math.exp(v))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((p) => p / sum)
}
const divergence = (y: Matrix, z: Matrix): number =>
  y.reduce((total, row, i) => {
    const [p, q] = [softmax(row), softmax(z[i]!)]
    return total + p.reduce((sum, v, k) => sum + v * Math.log(v / q[k]!), 0)
  }, 0) / y.length

describe('sensitivities of a perceptron with quantized weights', () => {
  const random = rng(3)
  const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal())
  const weights = { w1: { values: numbers(48), width: 6 }, w2: { values: numbers(24), width: 4 } }
  const inputs = Array.from({ length: 10 }, () => numbers(8))
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,8] x) => (float32[N,4] y)
    <float32[8,6] w1 = {${[...weights.w1.values].join()}}, float32[6,4] w2 = {${[...weights.w2.values].join()}}> {
    [one] h = MatMul(x, w1) r = Relu(h) [two] y = MatMul(r, w2) }`)
  const x = inputs.map((v) => [...v])
  const float = (name: 'w1' | 'w2') => rows(weights[name].values, weights[name].width)
  const [h, y] = [product(x, float('w1')), product(relu(product(x, float('w1'))), float('w2'))]
  const data = memoryData(
    normalData({ x: [1, 8] }, 10).map((feeds, i) => {
      const tensor = must(feeds.x, 'x')
      tensor.numbers().set(inputs[i]!)
      return feeds
    }),
  )

  /** Symmetric codes with a scale for each column. */
  function rounded(name: 'w1' | 'w2', scheme: string): number[][] {
    const { weights: rule } = schemeRules(parseScheme(scheme), coreml)
    const { values, width } = weights[name]
    const dims = [values.length / width, width]
    const params = paramsFromData(values, dims, quantSpec(must(rule, 'rule'), perChannel(1)))
    return rows(fakeQuantize(values, params, dims), width)
  }

  const options = {
    target: 'coreml',
    scheme: 'w8',
    bits: [4, 8],
    budgets: [{ measure: 'size', limit: 1, of: 'w8' }],
  } as const
  const sensitivity = async (name: 'kl' | 'layer') => {
    const { sensitivity: found, samples } = await allocated(model, {
      ...options,
      sensitivity: name,
      calibration: { data },
    })
    expect(samples).toBe(10)
    return (node: string, scheme: string) => must(found.find((s) => s.node === node)?.choices?.[scheme], node)
  }

  it('are the errors of the outputs with one of the layers quantized', async () => {
    const found = await sensitivity('kl')
    for (const scheme of ['w4', 'w8']) {
      const one = product(relu(product(x, rounded('w1', scheme))), float('w2'))
      const two = product(relu(h), rounded('w2', scheme))
      for (const [node, outputs] of [
        ['one', one],
        ['two', two],
      ] as const) {
        const noise = squares(minus(outputs, y)) / squares(y)
        // Float32 sums against double ones: at 8 bits the difference of outputs has four digits left.
        expect(noiseOf(found(node, scheme).sqnr) / noise).toBeCloseTo(1, 2)
        expect(found(node, scheme).kl).toBeCloseTo(divergence(y, outputs), 5)
      }
    }
  })

  it('are tr(ΔWᵀ·G·ΔW) with the second moment G of a layer’s inputs, over the power of its results', async () => {
    const found = await sensitivity('layer')
    for (const [node, name, read] of [
      ['one', 'w1', x],
      ['two', 'w2', relu(h)],
    ] as const) {
      const moment = read[0]!.map((_, i) =>
        read[0]!.map((_, j) => read.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
      )
      const delta = minus(rounded(name, 'w4'), float(name))
      const trace = product(moment, delta)
        .flatMap((row, i) => row.map((v, j) => v * delta[i]![j]!))
        .reduce((a, b) => a + b)
      const expected = trace / squares(product(read, float(name)))
      expect(noiseOf(found(node, 'w4').sqnr) / expected).toBeCloseTo(1, 4)
    }
  })
})

describe('allocate', () => {
  it('finds what trying all choices finds', async () => {
    const model = fixture('residual')
    const budgets = [
      { measure: 'size', limit: 0.75, of: 'w8' },
      { measure: 'macs', limit: 0.8 },
    ] as const
    const { sensitivity, budgets: report, nodes, by } = await allocated(model, { bits: [3, 4, 8], budgets })
    expect(by).toBe('sqnr')
    // Weights of 3 bits are stored in 4: by size alone there is nothing to choose between the two.
    const names = sensitivity.map(({ node }) => node)
    const constants = valuesByName(model.graph)
    const elements = (node: string) => {
      const weight = [...model.graph.nodes].find((n) => n.name === node)?.inputs[1]?.name ?? ''
      return must(constants.get(weight)?.constant, weight).size
    }
    const macs = (node: string) => elements(node) * 64
    const total = names.reduce((sum, node) => sum + elements(node), 0)
    let best = { cost: Number.POSITIVE_INFINITY, chosen: [] as string[] }
    const visit = (chosen: string[]): void => {
      if (chosen.length < names.length) {
        for (const scheme of ['w3a8', 'w4a8', 'w8a8']) visit([...chosen, scheme])
        return
      }
      const sum = (f: (node: string, scheme: string) => number) =>
        names.reduce((n, node, i) => n + f(node, chosen[i]!), 0)
      const size = sum((node, scheme) => elements(node) * (scheme === 'w8a8' ? 1 : 0.5))
      const above = sum((node, scheme) => (scheme === 'w3a8' ? 0 : macs(node)))
      if (size > 0.75 * total || above > 0.8 * 64 * total) return
      const cost = sum((node, scheme) => noiseOf(sensitivity.find((s) => s.node === node)!.choices![scheme]!.sqnr))
      if (cost < best.cost) best = { cost, chosen }
    }
    visit([])
    expect(names.map((node) => nodes[node])).toEqual(best.chosen)
    expect(new Set(best.chosen).size).toBeGreaterThan(1)
    expect(report.map(({ used, limit }) => used <= limit)).toEqual([true, true])
  })

  it('measures the network that quantize makes of it', async () => {
    const model = fixture('residual')
    const allocation = await allocated(model, { points: 4 })
    const made = await quantized(model, allocation)
    const weights = made.plan.tensors.filter(({ role }) => role === 'weight')
    const planned = Object.fromEntries(weights.map(({ readers, spec }) => [readers[0], `w${spec.bits}a8`]))
    expect(planned).toEqual(allocation.nodes)
    const { metrics } = await evaluate(made.model, { engine, data: PICTURES, against: model, metrics: ['sqnr'] })
    // The same parameters and samples; sums in another order.
    expect(allocation.measured.sqnr).toBeCloseTo(must(metrics.sqnr, 'sqnr'), 2)
    const { pareto, uniform, predicted } = allocation
    expect(pareto?.points[pareto.chosen ?? -1]?.metric).toBe(allocation.measured.sqnr)
    expect(pareto?.points[0]).toMatchObject({ budget: uniform[0]?.used[0], metric: uniform[0]?.sqnr })
    expect(pareto?.points.at(-1)).toMatchObject({ budget: uniform[1]?.used[0], metric: uniform[1]?.sqnr })
    // With the best choice everywhere, what is left beside the groups is what the measurement says, and nothing is predicted.
    expect(pareto?.points.at(-1)?.predicted).toBeCloseTo(uniform[1]?.sqnr ?? 0, 0)
    expect(Math.abs((predicted?.sqnr ?? 0) - allocation.measured.sqnr)).toBeLessThan(3)
  })

  it('gives layers that share a scale the same bits, so that the plan holds what was decided', async () => {
    const model = fixture('branches')
    const allocation = await allocated(model, {
      target: 'fpga-pot',
      bits: ['w4a4', 8],
      budgets: [{ measure: 'bops', limit: 0.6, of: 'w8' }],
    })
    const made = await quantized(model, allocation)
    expect(made.plan.diagnostics.filter(({ code }) => code === 'PLAN_CONFLICT')).toEqual([])
    const joined = allocation.sensitivity.find(({ others }) => others)
    expect(joined?.others?.length).toBeGreaterThan(0)
    // One of them alone at other bits is a conflict.
    const apart = {
      ...allocation,
      nodes: { ...allocation.nodes, [joined?.node ?? '']: joined?.chosen === 'w8a8' ? 'w4a4' : 'w8a8' },
    }
    const { plan } = await quantized(model, apart)
    expect(plan.diagnostics.map(({ code }) => code)).toContain('PLAN_CONFLICT')
  })

  it('leaves layers in float', async () => {
    const budgets = [{ measure: 'macs', limit: 0.5, above: 8 }] as const
    const allocation = await allocated(fixture('residual'), { bits: [8, 'float'], budgets })
    expect(new Set(Object.values(allocation.nodes))).toEqual(new Set(['w8a8', 'float']))
    const { plan } = await quantized(fixture('residual'), allocation)
    const kept = Object.entries(allocation.nodes).filter(([, scheme]) => scheme === 'float')
    const decisions = new Map(plan.nodes.map(({ node, decision }) => [node, decision]))
    expect(kept.map(([node]) => decisions.get(node))).toEqual(kept.map(() => 'float'))
    expect(allocation.measured.sqnr).toBeGreaterThan(must(allocation.uniform[0], 'uniform').sqnr)
  })

  it('mixes 1, 4, 8 and 16 bits on the academic target, whose edges keep 8', async () => {
    const model = fixture('squeeze-excite')
    const budgets = [{ measure: 'size', limit: 0.7, of: 'w8' }] as const
    const allocation = await allocated(model, { target: 'academic', bits: [1, 4, 8, 16], budgets })
    expect(allocation.choices).toEqual(['w1a8', 'w4a8', 'w8a8', 'w16a16'])
    expect(allocation.budgets[0]?.used).toBeLessThanOrEqual(allocation.budgets[0]?.limit ?? 0)
    const { plan } = await quantized(model, allocation)
    const weights = plan.tensors
      .filter(({ role }) => role === 'weight')
      .map(({ readers, spec }) => [readers[0], spec.bits])
    const edges = weights.filter(([node]) => !(String(node) in allocation.nodes))
    expect(edges).toEqual([weights[0], weights.at(-1)])
    expect(edges.map(([, bits]) => bits)).toEqual([8, 8])
    for (const [node, bits] of weights.slice(1, -1)) expect(allocation.nodes[String(node)]).toMatch(`w${bits}a`)
  })

  it.each([
    [{ budgets: [{ measure: 'size', limit: 0.3, of: 'w8' }] }, /ALLOCATE_INFEASIBLE.*is the least that is possible/],
    [
      {
        bits: [8, 'float'],
        budgets: [
          { measure: 'size', limit: 1.5, of: 'w8' },
          { measure: 'macs', limit: 0.2 },
        ],
        sensitivity: 'kl',
      },
      /ALLOCATE_SENSITIVITY/,
    ],
    [{ overrides: [{ match: { op: 'Conv' }, scheme: 'w8a8' }] }, /ALLOCATE_NOTHING/],
  ] as const)('refuses %j', async (options, message) => {
    await expect(allocated(fixture('residual'), options as Partial<AllocateOptions>)).rejects.toThrow(message)
  })
})
