// Convolutions on blocked kernels against the engine's own, with weights fed.
import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { blockedChannels, type Feeds } from '../../engine/index.ts'
import { asTensor, type Model, parseModel, Tensor } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { rng } from '../../util/index.ts'
import { inferShapes } from '../infer-shapes.ts'
import { blockConvolutions } from './index.ts'

const engine = nodeEngine({ threads: 1 })
const block = await blockedChannels(engine)

const network = (interface_: string, body: string): Model => {
  const model = parseModel(`<ir_version = 9, opset_import = ["": 20]> main ${interface_} { ${body} }`)
  inferShapes(model, { ops: defaultOps })
  return model
}

function feedsOf(model: Model): Feeds {
  const random = rng(5)
  return Object.fromEntries(
    model.graph.inputs.map((x) => {
      const dims = (asTensor(x.type)?.shape ?? []) as number[]
      const size = dims.reduce((n, d) => n * d, 1)
      return [x.name, Tensor.float32(dims, Float32Array.from({ length: size }, random.normal))]
    }),
  )
}

async function outputsOf(model: Model, feeds: Feeds): Promise<number[]> {
  const session = await engine.load(model)
  const outputs = await session.run(feeds).finally(() => session.release())
  return Object.values(outputs).flatMap((y) => Array.from(y.numbers()))
}

const conv = (x: string, w: string, attrs = '') =>
  network(`(float32${x} x, float32${w} w, float32[${w.slice(1).split(',')[0]}] b) => (y)`, `y = Conv${attrs}(x, w, b)`)

/** Samples of a map as weight, as the gradient by a weight has them; the map's twin serves another convolution too. */
const parts = (map: string, apart: string, weight: string) => {
  const channels = map.split(',')[1]
  return network(
    `(float32[1,4,7,8] x, float32${map} d, float32[16,${channels},3,3] w) => (g, y)`,
    `y = Conv(d, w) a = Constant<value_ints = ${apart}>() b = Constant<value_ints = ${weight}>()
     p = Reshape(d, a) q = Transpose<perm = [0, 2, 1, 3, 4]>(p) v = Reshape(q, b) g = Conv<group = 2>(x, v)`,
  )
}

const CASES: Readonly<Record<string, Model>> = {
  'full blocks': conv('[2,32,7,6]', '[16,32,3,3]', '<pads = [1, 1, 1, 1]>'),
  'strides and uneven padding': conv('[2,16,9,8]', '[48,16,3,2]', '<strides = [2, 1], pads = [1, 0, 0, 1]>'),
  'few input channels': conv('[2,3,8,8]', '[32,3,3,3]', '<pads = [1, 1, 1, 1]>'),
  'a channel each': conv('[2,32,6,5]', '[32,1,3,3]', '<group = 32, pads = [1, 1, 1, 1]>'),
  groups: conv('[1,64,5,5]', '[32,32,1,1]', '<group = 2>'),
  dilation: conv('[1,16,9,9]', '[16,16,3,3]', '<dilations = [2, 3], pads = [0, 3, 0, 3]>'),
  'padding that most columns reach into': conv(
    '[1,16,4,12]',
    '[16,16,4,4]',
    '<dilations = [1, 4], pads = [1, 4, 1, 4]>',
  ),
  'one after another, read in between': network(
    '(float32[2,16,6,6] x, float32[16,16,3,3] w, float32[32,16,1,1] v) => (h, y, z)',
    'h = Conv<pads = [1, 1, 1, 1]>(x, w) y = Conv(h, v) z = Relu(h)',
  ),
  'groups of few input channels': conv(
    '[1,64,9,6]',
    '[128,8,5,3]',
    '<group = 8, dilations = [1, 2], pads = [1, 0, 1, 0]>',
  ),
  'a few samples of a map as a group, of one block': parts('[4,16,5,4]', '[2,2,16,5,4]', '[32,2,5,4]'),
  'a few samples of a map as a group, of three blocks': parts('[4,48,5,4]', '[2,2,48,5,4]', '[96,2,5,4]'),
  'a map of one block with channels last': network(
    '(float32[2,16,6,5] x, float32[16,16,3,3] w) => (y, z)',
    'y = Conv<pads = [1, 1, 1, 1]>(x, w) t = Transpose<perm = [0, 2, 3, 1]>(x) z = Neg(t)',
  ),
  'a map of two blocks with channels last': network(
    '(float32[2,32,6,5] x, float32[16,32,3,3] w) => (y, z)',
    'y = Conv<pads = [1, 1, 1, 1]>(x, w) t = Transpose<perm = [0, 2, 3, 1]>(x) z = Neg(t)',
  ),
  'a map with channels last before it is in blocks': network(
    '(float32[2,16,6,5] x, float32[16,16,3,3] w) => (z, y)',
    't = Transpose<perm = [0, 2, 3, 1]>(x) z = Neg(t) y = Conv<pads = [1, 1, 1, 1]>(x, w)',
  ),
  'a transposed map as weight': network(
    '(float32[16,32,5,5] x, float32[16,16,5,5] d, float32[32,16,3,3] w) => (g, y)',
    'xt = Transpose<perm = [1, 0, 2, 3]>(x) dt = Transpose<perm = [1, 0, 2, 3]>(d) g = Conv<pads = [1, 1, 1, 1]>(xt, dt) y = Conv(d, w)',
  ),
}

describe.skipIf(block < 2)('convolutions with fed weights, on blocked kernels', () => {
  it.each(Object.entries(CASES))('%s', async (_, model) => {
    const feeds = feedsOf(model)
    const plain = await outputsOf(model, feeds)
    const convolutions = [...model.graph.nodes].filter((node) => node.qualifiedType === 'Conv').length
    expect(blockConvolutions(model, block)).toBe(convolutions)
    const blocked = await outputsOf(model, feeds)
    expect(blocked).toHaveLength(plain.length)
    const scale = Math.max(...plain.map(Math.abs))
    for (const [i, y] of plain.entries()) expect(Math.abs((blocked[i] ?? Number.NaN) - y)).toBeLessThan(1e-5 * scale)
  })

  it('leaves alone what the engine puts in blocks itself, and channels that fill none', () => {
    const constant = network(
      `(float32[1,16,3,3] x) => (y) <float32[16,16,1,1] w = {${Array(256).fill('1').join()}}>`,
      'y = Conv(x, w)',
    )
    expect(blockConvolutions(constant, block)).toBe(0)
    expect(blockConvolutions(conv('[1,16,4,4]', '[10,16,1,1]'), block)).toBe(0)
    expect(blockConvolutions(conv('[1,20,4,4]', '[16,20,1,1]'), block)).toBe(0)
  })
})
