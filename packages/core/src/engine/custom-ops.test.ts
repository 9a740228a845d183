import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, serializeModel, Tensor } from '../ir/index.ts'
import { attrs, defaultOps, defineOp } from '../ops/index.ts'
import { withCustomOps } from './custom-ops.ts'
import type { Feeds } from './engine.ts'
import { addFunctionBodies } from './function-bodies.ts'

const node = nodeEngine({ threads: 1 })

const likeInput = {
  since: [1],
  domain: 'example',
  inputs: ['x'],
  outputs: ['y'],
  infer: (cx: { input(i: number): undefined | object }) => [cx.input(0) as never],
}

/** x·k, in JavaScript. */
const scaled = defineOp({
  ...likeInput,
  type: 'Scaled',
  attrs: { k: attrs.float(2) },
  evaluate: ([x], { k }) => [
    Tensor.float32(
      x?.dims ?? [],
      Float32Array.from(x?.numbers() ?? [], (v) => v * k),
    ),
  ],
})
/** x + 1, as an ONNX function. */
const next = defineOp({
  ...likeInput,
  type: 'Next',
  body: `function example::Next <opset_import = ["": 17], attributes = []> (x) => (y) { one = Constant<value = float[] {1}>() y = Add(x, one) }`,
})
const ops = defaultOps.extend([scaled, next])
const engine = withCustomOps(node, ops)

const model = (body: string): Model =>
  parseModel(
    `<ir_version = 8, opset_import = ["": 17, "example": 1]> main (float[N,2] x) => (float[N,2] y, float[N,2] z) <float[2] c = {1, -1}> { ${body} }`,
  )

async function run(source: Parameters<typeof engine.load>[0], feeds: Feeds, wanted?: readonly string[]) {
  const session = await engine.load(source)
  try {
    const results = await session.run(feeds, wanted)
    return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, [...t.numbers()]]))
  } finally {
    await session.release()
  }
}

const feeds = { x: Tensor.float32([1, 2], [3, -4]) }

describe('withCustomOps', () => {
  it('runs ONNX functions and JavaScript functions wherever they stand', async () => {
    // By hand: a = x + c = [4, −5]; s = 2a = [8, −10]; n = s + 1 = [9, −9]; y = relu(n) = [9, 0]; z = 3x = [9, −12].
    const m = model(
      'a = Add(x, c) s = example::Scaled(a) n = example::Next(s) y = Relu(n) z = example::Scaled<k = 3.0>(x)',
    )
    expect(await run(m, feeds)).toEqual({ y: [9, 0], z: [9, -12] })
    expect(await run(serializeModel(m), feeds, ['z'])).toEqual({ z: [9, -12] })
  })

  it('runs chains of functions, values that skip parts, and results that are read twice', async () => {
    // s = 4x = [12, −16] through two calls; t = s + x = [15, −20]; y = 2t; z = t − s = x.
    const m = model('p = example::Scaled(x) s = example::Scaled(p) t = Add(s, x) y = example::Scaled(t) z = Sub(t, s)')
    expect(await run(m, feeds)).toEqual({ y: [30, -40], z: [3, -4] })
  })

  it('feeds nested graphs with what functions computed', async () => {
    const m =
      model(`p = example::Scaled(x) b = Constant<value = bool[] {1}>() y = If<then_branch = graph t () => (r) { r = Add(p, c) },
      else_branch = graph e () => (q) { q = Identity(x) }>(b) z = Identity(p)`)
    expect(await run(m, feeds)).toEqual({ y: [7, -9], z: [6, -8] })
  })

  it('describes inputs and outputs, and leaves models without such operators to the engine', async () => {
    const session = await engine.load(model('y = example::Scaled(x) z = Relu(x)'))
    expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 2] }])
    expect(session.outputs.map((o) => [o.name, o.dtype])).toEqual([
      ['y', 'float32'],
      ['z', 'float32'],
    ])
    await session.release()
    expect(withCustomOps(node, defaultOps)).toBe(node)
    const given: unknown[] = []
    const load: typeof node.load = (source, options) => {
      given.push(source)
      return node.load(source, options)
    }
    const plain = model('y = Relu(x) z = Neg(x)')
    await (await withCustomOps({ ...node, load }, ops).load(plain)).release()
    expect(given[0]).toBe(plain)
    expect(await run(model('y = Relu(x) z = Neg(x)'), feeds)).toEqual({ y: [3, 0], z: [-3, 4] })
  })

  it('says what is wrong with a function', async () => {
    const broken = (evaluate: NonNullable<typeof scaled.evaluate>) =>
      withCustomOps(node, defaultOps.extend([{ ...scaled, evaluate } as never]))
    const m = model('y = example::Scaled(x) z = Relu(x)')
    const outcome = async (evaluate: NonNullable<typeof scaled.evaluate>) => (await broken(evaluate).load(m)).run(feeds)
    await expect(
      outcome(() => {
        throw new Error('no luck')
      }),
    ).rejects.toThrow(/CUSTOM_OP_FAILED.*example::Scaled.*no luck/)
    await expect(outcome(() => [])).rejects.toThrow(/CUSTOM_OP_FAILED.*0 of 1 outputs/)
    const nested =
      model(`b = Constant<value = bool[] {1}>() y = If<then_branch = graph t () => (r) { r = example::Scaled(x) },
      else_branch = graph e () => (q) { q = Identity(x) }>(b) z = Identity(x)`)
    await expect(engine.load(nested)).rejects.toThrow(/CUSTOM_OP_NESTED/)
  })
})

describe('addFunctionBodies', () => {
  it('adds each body once, with node names of its own, and what files with functions need', () => {
    const m = model('[Add] y = example::Next(x) z = example::Next(y)')
    m.irVersion = 7
    m.opsets.delete('example')
    expect([addFunctionBodies(m, ops), addFunctionBodies(m, ops)]).toEqual([true, false])
    expect(m.functions.map((f) => `${f.domain}::${f.name}: ${[...f.graph.nodes].map((n) => n.name)}`)).toEqual([
      'example::Next: Next/Constant,Next/Add',
    ])
    expect([m.irVersion, m.opset('example')]).toEqual([8, 1])
  })

  it('writes a body that imports no ai.onnx in the version of the model', () => {
    const m = model('y = example::Next(x) z = Relu(x)')
    const body = next.body?.replace('opset_import = ["": 17], ', '')
    addFunctionBodies(m, defaultOps.extend([{ ...next, body }]))
    expect(m.functions.map((f) => f.opsets.get(''))).toEqual([17])
  })

  it('refuses a body that cannot be read or is of another operator', () => {
    const withBody = (body: string) => () =>
      addFunctionBodies(model('y = example::Next(x) z = Relu(x)'), defaultOps.extend([{ ...next, body }]))
    expect(withBody('function example::Next (x')).toThrow(/CUSTOM_OP_BODY.*example::Next cannot be read/)
    expect(withBody('function example::Nxt <opset_import = ["": 17]> (x) => (y) { y = Relu(x) }')).toThrow(
      /CUSTOM_OP_BODY.*defines example::Nxt/,
    )
  })
})
