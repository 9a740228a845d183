import { nodeEngine } from '@fewbit/engine-node'
import { outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { allGraphs, assertValid, cloneModel, graphValues, type Model, parseModel } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { Diagnostics } from '../../util/index.ts'
import { inferShapesPass, optimizePasses, PASSES, type Pass, runPasses, type TraceEvent } from '../index.ts'

const engine = nodeEngine()

const model = (graph: string): Model => parseModel(`<ir_version = 9, opset_import = ["": 17]>\n${graph}`)

async function rewritten(original: Model, passes: readonly Pass[] = [PASSES['inline-if']]) {
  const copy = cloneModel(original)
  const trace: TraceEvent[] = []
  const cx = { ops: defaultOps, diagnostics: new Diagnostics(), trace: (e: TraceEvent) => trace.push(e) }
  const evaluate = (m: Model) => runModel(engine, m)
  const report = await runPasses(copy, passes, { ...cx, evaluate }, { check: true })
  return { copy, report, reasons: trace.filter((e) => e.kind === 'declined').map((e) => e.text) }
}

const types = (m: Model) => [...allGraphs(m)].map((g) => [...g.nodes].map((n) => n.opType))

/** ONNX Runtime computes the same bits before and after: the same nodes run, but for the If. */
async function expectInlined(original: Model, nodes: readonly string[]) {
  const { copy, report } = await rewritten(original)
  expect(types(copy)).toEqual([nodes])
  expect(report.converged).toBe(true)
  assertValid(copy)
  expect(copy.graph.outputs.map((value) => value.name)).toEqual(original.graph.outputs.map((value) => value.name))
  const feeds = randomFeeds(original, 3)
  expect(outputError(await runModel(engine, original, feeds), await runModel(engine, copy, feeds))).toBe(0)
  return copy
}

const branches = (flag: 0 | 1, name = 'y') =>
  model(`g (float32[3] x) => (float32[3] ${name}) <bool[] c = {${flag}}> {
    h = Exp(x)
    ${name} = If<
      then_branch = graph t () => (float32[3] r) <float32[3] w = {1, 2, 3}> { s = Add(h, w) r = Mul(s, x) },
      else_branch = graph e () => (float32[3] r) { r = Neg(h) }
    >(c)
  }`)

describe('inline-if', () => {
  it('takes the branch that the condition names, with what it captures and holds', async () => {
    const taken = await expectInlined(branches(1), ['Exp', 'Add', 'Mul'])
    expect([...taken.graph.initializers].map((value) => value.name)).toEqual(['c', 'w'])
    await expectInlined(branches(0), ['Exp', 'Neg'])
  })

  it('keeps the name of a graph output that the branch uses itself', async () => {
    const inlined = await expectInlined(branches(1, 's'), ['Exp', 'Add', 'Mul'])
    const names = [...graphValues(inlined.graph)].map((value) => value.name)
    expect(new Set(names).size).toBe(names.length)
  })

  it('renames what sibling branches of two Ifs call the same', async () => {
    const two = model(`g (float32[3] x) => (float32[3] y) <bool[] c = {1}> {
      a = If<then_branch = graph t () => (float32[3] r1) { r1 = Neg(x) }, else_branch = graph e () => (float32[3] r2) { r2 = Exp(x) }>(c)
      b = If<then_branch = graph t () => (float32[3] r3) { r3 = Exp(x) }, else_branch = graph e () => (float32[3] r4) { r4 = Neg(x) }>(c)
      y = Add(a, b)
    }`)
    // As a file may have it; reading and parsing rename values, edits do not.
    for (const graph of [...allGraphs(two)].slice(1)) {
      for (const value of graph.outputs) value.name = 'r'
      for (const node of graph.nodes) node.name = 'n'
    }
    const inlined = await expectInlined(two, ['Neg', 'Exp', 'Add'])
    expect([...inlined.graph.nodes].map((n) => n.outputs[0]?.name).sort()).toEqual(['r', 'r_1', 'y'])
    expect(new Set([...inlined.graph.nodes].map((n) => n.name)).size).toBe(3)
  })

  it('unfolds an If in the branch of an If', async () => {
    const nested = model(`g (float32[3] x, bool d) => (float32[3] y) <bool[] c = {0}, bool[1] e = {1}> {
      y = If<
        then_branch = graph t () => (float32[3] r) { r = Neg(x) },
        else_branch = graph u () => (float32[3] r) {
          r = If<then_branch = graph v () => (float32[3] q) { q = Exp(x) }, else_branch = graph w () => (float32[3] q) { q = Tanh(x) }>(e)
        }
      >(c)
    }`)
    const inlined = await expectInlined(nested, ['Exp'])
    expect(inlined.graph.nodes.first?.outputs[0]?.name).toBe('y')
  })

  it('unfolds inside the branch of an If that stays', async () => {
    const inner = model(`g (float32[3] x, bool d) => (float32[3] y) {
      y = If<
        then_branch = graph t () => (float32[3] r) <bool[] c = {1}> {
          z = If<then_branch = graph v () => (float32[3] q) { q = Exp(x) }, else_branch = graph w () => (float32[3] q) { q = Tanh(x) }>(c)
          r = Neg(z)
        },
        else_branch = graph e () => (float32[3] r) { r = Neg(x) }
      >(d)
    }`)
    const { copy, reasons } = await rewritten(inner)
    expect(types(copy)).toEqual([['If'], ['Exp', 'Neg'], ['Neg']])
    expect(reasons).toEqual(['"d" is computed'])
    const feeds = randomFeeds(inner, 3)
    expect(outputError(await runModel(engine, inner, feeds), await runModel(engine, copy, feeds))).toBe(0)
  })

  it.each([
    ['an input of the graph', 'r = Identity(x)', 'float32[3] r', ['Identity']],
    ['a constant', 'k = Exp(x)', 'float32[3] w', ['Exp', 'Identity']],
    ['a value from outside', 'k = Exp(x)', 'float32[3] x', ['Exp', 'Identity']],
    ['a captured result', 'k = Exp(x)', 'float32[3] h', ['Exp', 'Identity']],
  ])('carries the name of a graph output to %s', async (_, body, result, nodes) => {
    const original = model(`g (float32[3] x) => (float32[3] y, float32[3] h) <bool[] c = {1}> {
      h = Neg(x)
      y = If<
        then_branch = graph t () => (${result}) <float32[3] w = {1, 2, 3}> { ${body} },
        else_branch = graph e () => (float32[3] o) { o = Neg(x) }
      >(c)
    }`)
    const { copy } = await rewritten(original)
    assertValid(copy)
    expect(types(copy)).toEqual([['Neg', ...nodes]])
    const [x] = Object.values(randomFeeds(original, 3))
    const { y } = await runModel(engine, copy, { x: x as NonNullable<typeof x> })
    const expected = result.endsWith(' w')
      ? [1, 2, 3]
      : [...(x?.numbers() ?? [])].map((v) => (result.endsWith(' h') ? -v : v))
    expect([...(y?.numbers() ?? [])]).toEqual(expected)
  })

  it('serves two outputs of one value, read and unread', async () => {
    const twice = model(`g (float32[3] x) => (float32[3] y, float32[3] z) <bool[] c = {1}> {
      y, z, u = If<
        then_branch = graph t () => (float32[3] r, float32[3] r, float32[3] s) { r = Exp(x) s = Neg(x) },
        else_branch = graph e () => (float32[3] o, float32[3] p, float32[3] q) { o = Neg(x) p = Exp(x) q = Exp(x) }
      >(c)
    }`)
    const { copy } = await rewritten(twice)
    assertValid(copy)
    const feeds = randomFeeds(twice, 3)
    const { y, z } = await runModel(engine, copy, feeds)
    expect(y?.numbers()).toEqual(z?.numbers())
    // exp in float32 is within one unit in the last place of the true value.
    for (const [i, v] of (feeds.x?.numbers() ?? []).entries()) expect(y?.numbers()[i]).toBeCloseTo(Math.exp(v), 5)
  })

  it('leaves a computed condition, and one that a caller may override', async () => {
    const open = model(`g (float32[3] x, bool[] c = {1}) => (float32[3] y) {
      y = If<then_branch = graph t () => (float32[3] r) { r = Neg(x) }, else_branch = graph e () => (float32[3] o) { o = Exp(x) }>(c)
    }`)
    const { reasons } = await rewritten(open)
    expect(reasons).toEqual(['"c" is computed'])
  })

  it('takes a branch whose sibling does not fit the shapes that are known', async () => {
    const original = model(`g (float32[2,3] x) => (float32[2,3] y) <int64[] two = {2}, int64[1] one = {1}> {
      s = Shape(x)
      n = Size(s)
      c = Equal(n, two)
      y = If<
        then_branch = graph t () => (r) { r = Neg(x) },
        else_branch = graph e () => (o) { o = Squeeze(x, one) }
      >(c)
    }`)
    const { copy, report } = await rewritten(original, [inferShapesPass, ...optimizePasses])
    expect(report.converged).toBe(true)
    expect(types(copy)).toEqual([['Neg']])
    const x = randomFeeds(original, 3)
    const { y } = await runModel(engine, copy, x)
    expect([...(y?.numbers() ?? [])]).toEqual([...(x.x?.numbers() ?? [])].map((v) => -v))
  })
})
