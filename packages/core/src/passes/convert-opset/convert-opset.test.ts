import { nodeEngine } from '@fewbit/engine-node'
import { normal, outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import {
  type Attribute,
  attribute,
  cloneModel,
  Graph,
  GraphBuilder,
  Model,
  type Node,
  Tensor,
  tensorType,
  type Value,
} from '../../ir/index.ts'
import { defaultOps, signatureAt } from '../../ops/index.ts'
import { Diagnostics, FewbitError, rng } from '../../util/index.ts'
import { runPasses } from '../index.ts'
import { adaptersOf } from './adapters.ts'
import { convertOpset, irVersionFor } from './index.ts'

const { float, floats, int, ints, string } = attribute
const engine = nodeEngine()
const context = () => ({ ops: defaultOps, diagnostics: new Diagnostics(), trace: () => {} })

type Attributes = Readonly<Record<string, Attribute>>
type Build = (b: GraphBuilder, x: Value) => Value | readonly Value[]

function modelOf(opset: number, dims: readonly (number | string)[], build: Build): Model {
  const model = new Model()
  model.opsets.set('', opset)
  model.irVersion = irVersionFor(opset)
  const b = new GraphBuilder(model.graph)
  const outputs = [build(b, input(b, dims))].flat()
  for (const y of outputs) b.output(y).type ??= tensorType('float32')
  return model
}

const input = (b: GraphBuilder, dims: readonly (number | string)[]) => b.input('x', tensorType('float32', dims))
const op =
  (type: string, attributes: Attributes = {}, ...more: Tensor[]): Build =>
  (b, x) =>
    b.op(type, [x, ...more.map((t, i) => weight(b, `k${i}`, t))], attributes)

/** Before IR version 4, initializers are inputs too. */
function weight(b: GraphBuilder, name: string, tensor: Tensor): Value {
  const value = b.constant(name, tensor)
  b.graph.inputs.push(value)
  return value
}

async function converted(model: Model, target: number): Promise<Model> {
  const copy = cloneModel(model)
  await runPasses(copy, [convertOpset(target)], context(), { check: true })
  return copy
}

/** Runs both in the engine, which knows every opset from 7 on. */
async function errorOf(model: Model, target: number): Promise<number> {
  const feeds = randomFeeds(model, 7)
  return outputError(
    await runModel(engine, model, feeds),
    await runModel(engine, await converted(model, target), feeds),
  )
}

const vector = (values: readonly number[]) => Tensor.float32([values.length], values)

const CASES: readonly (readonly [name: string, opset: number, dims: readonly (number | string)[], build: Build])[] = [
  ['Slice bounds', 9, [4, 6], op('Slice', { starts: ints([1, -3]), ends: ints([9, -1]), axes: ints([0, 1]) })],
  ['Slice without axes', 9, [4, 6], op('Slice', { starts: ints([1]), ends: ints([3]) })],
  ['TopK', 9, [3, 8], (b, x) => b.ops('TopK', [x], { k: int(3), axis: int(1) }, { outputs: 2 })[0] as Value],
  ['Clip both bounds', 10, [3, 4], op('Clip', { min: float(-0.5), max: float(0.25) })],
  ['Clip lower bound', 7, [3, 4], op('Clip', { min: float(0) })],
  ['Clip without bounds', 10, [3, 4], op('Clip')],
  ['Pad with a value', 10, [2, 3], op('Pad', { pads: ints([0, 1, 2, 0]), value: float(1.5) })],
  ['Pad by reflection', 10, [4, 4], op('Pad', { pads: ints([0, 1, 0, 1]), mode: string('reflect') })],
  ['Dropout', 7, [3, 4], op('Dropout', { ratio: float(0.3) })],
  ['Squeeze', 12, [1, 3, 1], op('Squeeze', { axes: ints([0]) })],
  ['Squeeze all', 12, [1, 3, 1], op('Squeeze')],
  ['Unsqueeze', 8, [3], op('Unsqueeze', { axes: ints([0, 2]) })],
  ['Split lengths', 12, [6], (b, x) => b.ops('Split', [x], { split: ints([2, 4]) }, { outputs: 2 })],
  ['Split evenly', 11, [6, 2], (b, x) => b.ops('Split', [x], {}, { outputs: 3 })],
  ['ReduceSum', 12, [2, 3, 4], op('ReduceSum', { axes: ints([1]), keepdims: int(0) })],
  ['ReduceMean', 11, [2, 3, 4], op('ReduceMean', { axes: ints([-1]) })],
  ['ReduceMax of everything', 13, [2, 3], op('ReduceMax', { keepdims: int(0) })],
  ['ReduceL2', 8, [2, 3], op('ReduceL2', { axes: ints([1]) })],
  ['Upsample, scales as attribute', 8, [1, 2, 3, 3], op('Upsample', { scales: floats([1, 1, 2, 3]) })],
  ['Upsample, linear', 9, [1, 2, 3, 3], op('Upsample', { mode: string('linear') }, vector([1, 1, 2, 2]))],
  ['Upsample, nearest by 2.5', 9, [1, 1, 4, 4], op('Upsample', {}, vector([1, 1, 2.5, 1.7]))],
  ['Resize, nearest, enlarging', 10, [1, 1, 4, 4], op('Resize', {}, vector([1, 1, 2, 1.3]))],
  ['Resize, nearest, shrinking', 10, [1, 1, 7, 7], op('Resize', {}, vector([1, 1, 0.6, 0.4]))],
  ['Resize, linear, shrinking', 10, [1, 1, 7, 7], op('Resize', { mode: string('linear') }, vector([1, 1, 0.6, 2]))],
  ['Softmax over rows', 11, [2, 3, 4], op('Softmax', { axis: int(1) })],
  ['Softmax over everything', 11, [2, 3, 4], op('Softmax', { axis: int(0) })],
  ['Softmax, default axis', 7, [2, 3, 4, 1], op('Softmax')],
  ['Softmax, one long axis', 11, [2, 5, 1, 1], op('Softmax', { axis: int(1) })],
  ['Softmax, symbolic', 11, ['N', 'A', 'B'], op('Softmax', { axis: int(1) })],
  ['LogSoftmax', 12, [2, 3, 4], op('LogSoftmax', { axis: int(-2) })],
  ['Hardmax', 11, [2, 3, 4], op('Hardmax', { axis: int(1) })],
  [
    'BatchNormalization',
    8,
    [2, 3, 4, 4],
    op('BatchNormalization', {}, vector([1, 2, 3]), vector([0, 1, 0]), vector([1, 0, 1]), vector([1, 2, 0.5])),
  ],
  [
    'GroupNormalization',
    18,
    [2, 4, 3],
    op('GroupNormalization', { num_groups: int(2) }, vector([1, 2]), vector([0.5, -1])),
  ],
  [
    'RoiAlign',
    13,
    [1, 2, 8, 8],
    (b, x) => {
      const boxes = b.constant('boxes', Tensor.float32([1, 4], [1, 1, 6, 5]))
      const batch = b.constant('batch', Tensor.int64([1], [0]))
      return b.op('RoiAlign', [x, boxes, batch], { output_height: int(3), output_width: int(3) })
    },
  ],
  ['GridSample', 16, [1, 1, 4, 4], op('GridSample', {}, normal(rng(3), [1, 2, 2, 2], 0.4))],
  [
    'GridSample, bicubic',
    16,
    [1, 1, 4, 4],
    op('GridSample', { mode: string('bicubic') }, normal(rng(3), [1, 2, 2, 2], 0.4)),
  ],
  [
    'Scatter',
    9,
    [3, 3],
    (b, x) => {
      const indices = b.constant('i', Tensor.int64([1, 3], [2, 0, 1]))
      return b.op('Scatter', [x, indices, b.constant('u', Tensor.float32([1, 3], [7, 8, 9]))])
    },
  ],
  ['DFT', 17, [1, 6, 1], op('DFT', { axis: int(1) })],
]

describe('adapters, run before and after in ONNX Runtime', () => {
  // The arithmetic is the same, up to the order of sums in differently shaped reductions: a few float32 roundings.
  for (const [name, opset, dims, build] of CASES) {
    for (const target of [13, 17, 21].filter((t) => t > opset)) {
      it(`${name}: ${opset} → ${target}`, async () => {
        expect(await errorOf(modelOf(opset, dims, build), target)).toBeLessThan(1e-6)
      })
    }
  }

  it('keeps a Dropout mask of the data type', async () => {
    const model = modelOf(7, [3, 4], (b, x) => {
      const [y, mask] = b.ops('Dropout', [x], {}, { outputs: 2 })
      return b.op('Add', [y as Value, b.op('Cast', [mask as Value], { to: int(1) })])
    })
    const types = [...(await converted(model, 13)).graph.nodes].map((n) => n.opType)
    expect(types).toEqual(['Dropout', 'Cast', 'Cast', 'Add'])
  })

  it('rewrites nodes of nested graphs', async () => {
    const model = modelOf(10, [3], (b, x) => {
      const [then_branch, else_branch] = [0, -0.5].map((min) => {
        const graph = new Graph(`branch${min}`)
        const inner = new GraphBuilder(graph)
        const y = inner.op('Clip', [x], { min: float(min) }, { name: `Clip${min}` })
        inner.output(y).type = tensorType('float32', [3])
        return attribute.graph(graph)
      }) as [Attribute, Attribute]
      const yes = b.constant('yes', Tensor.fromStorage('bool', [], Uint8Array.of(0)))
      return b.op('If', [yes], { then_branch, else_branch })
    })
    expect(await errorOf(model, 13)).toBe(0)
  })
})

it('rounds down for an Upsample with computed scales', async () => {
  const model = modelOf(9, [1, 1, 4, 4], (b, x) => {
    const half = b.constant('half', vector([0.5, 0.5, 1.25, 0.7]))
    return b.op('Upsample', [x, b.op('Add', [half, half])])
  })
  expect(await errorOf(model, 13)).toBe(0)
})

describe('convertOpset', () => {
  const clip = () => modelOf(10, [3], op('Clip', { min: float(0) }))

  it('sets opset and IR version, and frees constants from the inputs of old files', async () => {
    const model = await converted(modelOf(8, [2, 3], op('Add', {}, vector([1, 2, 3]))), 17)
    expect(model.opset()).toBe(17)
    expect(model.irVersion).toBe(8)
    expect(model.graph.inputs.map((v) => v.name)).toEqual(['x'])
  })

  it('does nothing at or above the target', async () => {
    const report = await runPasses(clip(), [convertOpset(10)], context())
    expect(report.modified).toBe(false)
  })

  it('leaves other domains alone', async () => {
    const model = modelOf(12, [1, 3], (b, x) => b.op('Squeeze', [x], { axes: ints([0]) }, { domain: 'custom' }))
    model.opsets.set('custom', 1)
    const node = (await converted(model, 13)).graph.nodes.first as Node
    expect([...node.attributes.keys()]).toEqual(['axes'])
  })

  const refusals: readonly (readonly [string, Model, RegExp])[] = [
    [
      'statistics per position',
      modelOf(
        8,
        [1, 2, 2, 2],
        op('BatchNormalization', { spatial: int(0) }, vector([1, 1]), vector([0, 0]), vector([0, 0]), vector([1, 1])),
      ),
      /BatchNormalization.*spatial=0/,
    ],
    ['operators that nobody knows', modelOf(9, [2], op('NoSuchOperator')), /NoSuchOperator is not known/],
    [
      'nearest resizing both ways',
      modelOf(10, [1, 1, 4, 4], op('Resize', {}, vector([1, 1, 2, 0.5]))),
      /enlarge one axis and shrink another/,
    ],
    ['opsets before 7', modelOf(6, [2], op('Relu')), /oldest/],
  ]
  for (const [name, model, message] of refusals) {
    it(`refuses ${name} and leaves the model as it was`, async () => {
      const before = [model.opset(), ...(model.graph.nodes.first?.attributes.keys() ?? [])]
      const error = await runPasses(model, [convertOpset(13)], context()).catch((e: unknown) => e)
      expect(error).toBeInstanceOf(FewbitError)
      expect((error as FewbitError).message).toMatch(message)
      expect([model.opset(), ...(model.graph.nodes.first?.attributes.keys() ?? [])]).toEqual(before)
    })
  }
})

/** A change that takes an attribute away or changes its default cannot be a mere extension. */
describe('every incompatible change of a signature has an adapter', () => {
  const standard = [...defaultOps].filter((def) => def.domain === '')
  for (const def of standard) {
    const versions = def.since.filter((v, i) => v >= 7 || (def.since[i + 1] ?? 0) > 7)
    const steps = versions.slice(1).map((v, i) => [versions[i] as number, v] as const)
    for (const [from, to] of steps.filter(([, v]) => v > 7 && v <= 25)) {
      const [old, next] = [signatureAt(def, from), signatureAt(def, to)]
      const lost = Object.keys(old.attrs).filter((name) => !(name in next.attrs))
      const changed = Object.entries(next.attrs).filter(([name, spec]) => {
        const before = old.attrs[name]
        return before && String(before.default) !== String(spec.default)
      })
      if (lost.length + changed.length === 0) continue
      it(`${def.type} ${to}: ${[...lost, ...changed.map(([name]) => name)].join(', ')}`, () => {
        expect(adaptersOf(def.type, to)).not.toHaveLength(0)
      })
    }
  }
})
