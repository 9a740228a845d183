import { nodeEngine } from '@fewbit/engine-node'
import { batchNorm, newModel, normal, outputError, randomFeeds, runModel, uniform } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { attribute, cloneModel, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { Diagnostics, dtypeToOnnx, rng } from '../../util/index.ts'
import { deadCode, inferShapesPass, RULES, type RuleName, rulePass, runPasses, type TraceEvent } from '../index.ts'

const { float, int, ints, string } = attribute
const engine = nodeEngine()

/** A model with input x of the given shape, whose output y is what `build` returns. */
function modelOf(dims: readonly number[], build: (b: GraphBuilder, x: Value) => Value, opset = 17): Model {
  const { model, b } = newModel(opset)
  const y = build(b, b.input('x', tensorType('float32', dims)))
  y.name = 'y'
  b.output(y)
  return model
}

async function apply(model: Model, name: RuleName) {
  const result = cloneModel(model)
  const trace: TraceEvent[] = []
  const cx = { ops: defaultOps, diagnostics: new Diagnostics(), trace: (e: TraceEvent) => trace.push(e) }
  await runPasses(result, [inferShapesPass, rulePass(RULES[name]), deadCode], cx, { check: true })
  const own = trace.filter((e) => e.pass === name)
  return {
    model: result,
    types: [...result.graph.nodes].map((n) => n.opType),
    fired: own.filter((e) => e.kind === 'fired').length,
    reasons: own.filter((e) => e.kind === 'declined').map((e) => e.text),
  }
}

/** Structure moves no number; folded weights are rounded once more, 2^-24 each, over sums of up to a few hundred. */
const EXACT = 0
const ROUNDED = 1e-5

async function expectFires(model: Model, name: RuleName, types: readonly string[], tolerance = EXACT) {
  const result = await apply(model, name)
  expect(result.types).toEqual(types)
  expect(result.fired).toBeGreaterThan(0)
  const feeds = randomFeeds(model, 11)
  const error = outputError(await runModel(engine, model, feeds), await runModel(engine, result.model, feeds))
  expect(error).toBeLessThanOrEqual(tolerance)
  return result.model
}

async function expectDeclines(model: Model, name: RuleName, reason: RegExp) {
  const result = await apply(model, name)
  expect(result.fired).toBe(0)
  expect(result.reasons.join('\n')).toMatch(reason)
}

const seeded = () => rng(3)

describe('batchnorm-to-conv', () => {
  const norm = (dims: readonly number[]) => modelOf(dims, (b, x) => batchNorm(b, b.op('Relu', [x]), 4, seeded()))

  it.each([[[2, 4, 5]], [[2, 4, 5, 3]], [[1, 4, 2, 3, 3]]])('computes the same on %j', async (dims) => {
    await expectFires(norm(dims), 'batchnorm-to-conv', ['Relu', 'Conv'], ROUNDED)
  })

  it('declines for a matrix', async () => {
    await expectDeclines(norm([3, 4]), 'batchnorm-to-conv', /matrix/)
  })
})

describe('fold-batchnorm', () => {
  const convNorm = (group: number, bias: boolean) =>
    modelOf([2, 4, 7, 7], (b, x) => {
      const r = seeded()
      const w = b.constant('w', normal(r, [6, 4 / group, 3, 3]))
      const inputs = bias ? [x, w, b.constant('bias', normal(r, [6]))] : [x, w]
      return batchNorm(b, b.op('Conv', inputs, { group: int(group), pads: ints([1, 1, 1, 1]) }), 6, r)
    })

  it.each([
    [1, false],
    [1, true],
    [2, false],
    [2, true],
  ])('folds into Conv, group %d, bias %s', async (group, bias) => {
    await expectFires(convNorm(group, bias), 'fold-batchnorm', ['Conv'], ROUNDED)
  })

  it.each([1, 2, 4])('folds into ConvTranspose, group %d', async (group) => {
    const model = modelOf([2, 4, 5, 5], (b, x) => {
      const r = seeded()
      const w = b.constant('w', normal(r, [4, 3, 3, 2]))
      const attributes = { group: int(group), strides: ints([2, 2]), pads: ints([1, 0, 1, 0]) }
      return batchNorm(b, b.op('ConvTranspose', [x, w], attributes), 3 * group, r)
    })
    await expectFires(model, 'fold-batchnorm', ['ConvTranspose'], ROUNDED)
  })

  it.each([
    [0, [4, 5], [5]],
    [1, [5, 4], [1, 5]],
    [1, [5, 4], []],
  ])('folds into Gemm with transB %d, alpha, beta and C %j', async (transB, weight, c) => {
    const model = modelOf([3, 4], (b, x) => {
      const r = seeded()
      const inputs = [x, b.constant('w', normal(r, weight)), b.constant('c', normal(r, c))]
      return batchNorm(b, b.op('Gemm', inputs, { transB: int(transB), alpha: float(0.5), beta: float(-2) }), 5, r)
    })
    const folded = await expectFires(model, 'fold-batchnorm', ['Gemm'], ROUNDED)
    expect([...folded.graph.initializers]).toHaveLength(2)
  })

  it('folds a Gemm whose C varies by row never', async () => {
    const model = modelOf([5, 4], (b, x) => {
      const r = seeded()
      const inputs = [x, b.constant('w', normal(r, [4, 5])), b.constant('c', normal(r, [5, 1]))]
      return batchNorm(b, b.op('Gemm', inputs), 5, r)
    })
    await expectDeclines(model, 'fold-batchnorm', /bias "c" is not one constant per channel/)
  })

  it('keeps a shared weight untouched', async () => {
    const model = modelOf([2, 4, 5, 5], (b, x) => {
      const r = seeded()
      const w = b.constant('w', normal(r, [4, 4, 1, 1]))
      return b.op('Add', [batchNorm(b, b.op('Conv', [x, w]), 4, r), b.op('Conv', [x, w])])
    })
    await expectDeclines(model, 'fold-batchnorm', /weight "w" has other users/)
  })

  it('gives a shared bias up for a new one', async () => {
    const model = modelOf([2, 4, 5, 5], (b, x) => {
      const r = seeded()
      const bias = b.constant('bias', normal(r, [4]))
      const conv = (name: string) => b.op('Conv', [x, b.constant(name, normal(r, [4, 4, 1, 1])), bias])
      return b.op('Add', [batchNorm(b, conv('w1'), 4, r), conv('w2')])
    })
    await expectFires(model, 'fold-batchnorm', ['Conv', 'Conv', 'Add'], ROUNDED)
  })

  it('keeps a value that is a graph output', async () => {
    const model = convNorm(1, false)
    const [conv] = model.graph.nodes
    model.graph.outputs.push(conv?.outputs[0] as Value)
    await expectDeclines(model, 'fold-batchnorm', /is a graph output/)
  })

  it('keeps a value that somebody else reads', async () => {
    const model = modelOf([2, 4, 5, 5], (b, x) => {
      const r = seeded()
      const conv = b.op('Conv', [x, b.constant('w', normal(r, [4, 4, 1, 1]))])
      return b.op('Add', [batchNorm(b, conv, 4, r), conv])
    })
    await expectDeclines(model, 'fold-batchnorm', /has other readers/)
  })

  it('declines in training mode', async () => {
    const model = convNorm(1, false)
    model.graph.nodes.last?.attributes.set('training_mode', int(1))
    await expectDeclines(model, 'fold-batchnorm', /training mode/)
  })

  it('declines parameters that are computed, and weights that callers may override', async () => {
    const computed = convNorm(1, false)
    const norm = computed.graph.nodes.last
    const gamma = norm?.inputs[1] as Value
    gamma.constant = null
    computed.graph.initializers.delete(gamma)
    computed.graph.inputs.push(gamma)
    await expectDeclines(computed, 'fold-batchnorm', /parameter of the BatchNormalization is not constant/)

    const open = convNorm(1, false)
    open.graph.inputs.push(open.graph.nodes.first?.inputs[1] as Value)
    await expectDeclines(open, 'fold-batchnorm', /weight "w" is not a constant/)
  })

  it('declines a normalization that divides by zero', async () => {
    const model = convNorm(1, false)
    const norm = model.graph.nodes.last
    norm?.attributes.set('epsilon', float(0))
    const variance = norm?.inputs[4] as Value
    variance.constant = Tensor.float32([6], new Float32Array(6))
    await expectDeclines(model, 'fold-batchnorm', /not finite/)
  })
})

describe('fold-batchnorm-forward', () => {
  const normConv = (pads: readonly number[], group = 1, shift = 1) =>
    modelOf([2, 4, 6, 6], (b, x) => {
      const r = seeded()
      const parameter = (name: string, t: Tensor) => b.constant(name, t)
      const norm = b.op('BatchNormalization', [
        x,
        parameter('gamma', uniform(r, [4], 0.5, 2)),
        parameter('beta', uniform(r, [4], 0, shift)),
        parameter('mean', uniform(r, [4], 0, shift)),
        parameter('var', uniform(r, [4], 0.5, 2)),
      ])
      const w = b.constant('w', normal(r, [4, 4 / group, 3, 3]))
      return b.op('Conv', [norm, w], { group: int(group), pads: ints(pads) })
    })

  it.each([1, 2, 4])('folds into an unpadded Conv, group %d', async (group) => {
    await expectFires(normConv([0, 0, 0, 0], group), 'fold-batchnorm-forward', ['Conv'], ROUNDED)
  })

  it('folds a pure factor into a padded Conv', async () => {
    await expectFires(normConv([1, 1, 1, 1], 1, 0), 'fold-batchnorm-forward', ['Conv'], ROUNDED)
  })

  it('declines a shift before padding', async () => {
    await expectDeclines(normConv([1, 1, 1, 1]), 'fold-batchnorm-forward', /padding is zero/)
  })

  it('folds into Gemm with alpha', async () => {
    const model = modelOf([3, 4], (b, x) => {
      const r = seeded()
      const w = b.constant('w', normal(r, [5, 4]))
      return b.op('Gemm', [batchNorm(b, x, 4, r), w], { transB: int(1), alpha: float(0.5) })
    })
    await expectFires(model, 'fold-batchnorm-forward', ['Gemm'], ROUNDED)
  })

  it('declines transA', async () => {
    const model = modelOf([4, 4], (b, x) => {
      const r = seeded()
      return b.op('Gemm', [batchNorm(b, x, 4, r), b.constant('w', normal(r, [4, 5]))], { transA: int(1) })
    })
    await expectDeclines(model, 'fold-batchnorm-forward', /transA/)
  })
})

describe('merge-bias and fold-scale', () => {
  const behind = (op: string, dims: readonly number[], bias: boolean, constantFirst = false) =>
    modelOf([2, 3, 5, 5], (b, x) => {
      const r = seeded()
      const w = b.constant('w', normal(r, [4, 3, 3, 3]))
      const conv = b.op('Conv', bias ? [x, w, b.constant('bias', normal(r, [4]))] : [x, w])
      const k = b.constant('k', uniform(r, dims, 0.5, 2))
      return b.op(op, constantFirst ? [k, conv] : [conv, k])
    })

  it.each([
    ['merge-bias', 'Add', [4, 1, 1], false, false],
    ['merge-bias', 'Add', [1, 4, 1, 1], true, true],
    ['merge-bias', 'Sub', [4, 1, 1], true, false],
    ['merge-bias', 'Add', [1], true, false],
    ['merge-bias', 'Add', [], false, false],
    ['fold-scale', 'Mul', [4, 1, 1], true, true],
    ['fold-scale', 'Mul', [4, 1, 1], false, false],
    ['fold-scale', 'Div', [1, 4, 1, 1], true, false],
  ] as const)('%s: %s with %j', async (rule, op, dims, bias, first) => {
    await expectFires(behind(op, dims, bias, first), rule, ['Conv'], ROUNDED)
  })

  it('declines constants that vary over positions or widen the result', async () => {
    await expectDeclines(behind('Add', [3, 3], false), 'merge-bias', /"k" is not one constant per channel/)
    await expectDeclines(behind('Add', [2, 1, 1, 1], false), 'merge-bias', /"k" is not one constant per channel/)
    await expectDeclines(behind('Mul', [1, 1, 1, 1, 1], false), 'fold-scale', /"k" is not one constant per channel/)
  })

  it('does not take k − conv and k ÷ conv for their mirror images', async () => {
    expect((await apply(behind('Sub', [4, 1, 1], false, true), 'merge-bias')).fired).toBe(0)
    expect((await apply(behind('Div', [4, 1, 1], false, true), 'fold-scale')).fired).toBe(0)
  })

  it('declines a division by zero', async () => {
    const model = behind('Div', [4, 1, 1], false)
    for (const v of model.graph.initializers) if (v.name === 'k') v.constant = Tensor.float32([4, 1, 1], [1, 0, 1, 1])
    await expectDeclines(model, 'fold-scale', /not finite/)
  })

  it('merges into Gemm with beta', async () => {
    const model = modelOf([3, 4], (b, x) => {
      const r = seeded()
      const inputs = [x, b.constant('w', normal(r, [4, 5])), b.constant('c', normal(r, [5]))]
      return b.op('Add', [b.op('Gemm', inputs, { beta: float(3) }), b.constant('k', normal(r, [1, 5]))])
    })
    await expectFires(model, 'merge-bias', ['Gemm'], ROUNDED)
  })
})

describe('matmul-add-to-gemm', () => {
  const product = (x: readonly number[], w: readonly number[], k: readonly number[]) =>
    modelOf(x, (b, input) => {
      const r = seeded()
      return b.op('Add', [b.op('MatMul', [input, b.constant('w', normal(r, w))]), b.constant('k', normal(r, k))])
    })

  it.each([[[5]], [[1, 5]], [[3, 5]], [[3, 1]], [[]]])('merges a bias of %j', async (k) => {
    await expectFires(product([3, 4], [4, 5], k), 'matmul-add-to-gemm', ['Gemm'], ROUNDED)
  })

  it('declines batches of matrices and a bias that widens the product', async () => {
    await expectDeclines(product([2, 3, 4], [4, 5], [5]), 'matmul-add-to-gemm', /not known to be matrices/)
    await expectDeclines(product([1, 4], [4, 5], [3, 5]), 'matmul-add-to-gemm', /does not broadcast/)
    await expectDeclines(product([3, 4], [4, 5], [1, 3, 5]), 'matmul-add-to-gemm', /does not broadcast/)
  })
})

describe('eliminate', () => {
  it('removes Identity inside, and keeps output names', async () => {
    const model = modelOf([2, 3], (b, x) => b.op('Identity', [b.op('Relu', [b.op('Identity', [x])])]))
    const result = await expectFires(model, 'eliminate-identity', ['Relu'])
    expect(result.graph.outputs.map((o) => o.name)).toEqual(['y'])
  })

  it('keeps the Identity between a graph input and a graph output', async () => {
    const model = modelOf([2, 3], (b, x) => b.op('Identity', [x]))
    await expectDeclines(model, 'eliminate-identity', /cannot take the name/)
  })

  it('removes Dropout, and keeps it where it trains or its mask is used', async () => {
    await expectFires(
      modelOf([2, 3], (b, x) => b.op('Relu', [b.op('Dropout', [x])])),
      'eliminate-dropout',
      ['Relu'],
    )
    const training = modelOf([2, 3], (b, x) => {
      const mode = b.constant('mode', Tensor.fromStorage('bool', [], Uint8Array.of(1)))
      return b.op('Relu', [b.op('Dropout', [x, null, mode])])
    })
    await expectDeclines(training, 'eliminate-dropout', /training mode/)
    const mask = modelOf([2, 3], (b, x) => {
      const [y, m] = b.ops('Dropout', [x], {}, { outputs: 2 })
      return b.op('Where', [m as Value, y as Value, x])
    })
    await expectDeclines(mask, 'eliminate-dropout', /another output is used/)
  })

  type Build = (b: GraphBuilder, x: Value) => Value
  const k = (b: GraphBuilder, name: string, ...v: number[]) => b.constant(name, Tensor.int64([v.length], v))
  const scalar = (b: GraphBuilder, v: number) => b.constant('s', Tensor.float32([], [v]))
  const NOTHING: Record<string, Build> = {
    Add: (b, x) => b.op('Add', [scalar(b, 0), x]),
    Cast: (b, x) => b.op('Cast', [x], { to: int(1) }),
    Concat: (b, x) => b.op('Concat', [x], { axis: int(0) }),
    Div: (b, x) => b.op('Div', [x, scalar(b, 1)]),
    Expand: (b, x) => b.op('Expand', [x, k(b, 'k', 1, 3)]),
    Flatten: (b, x) => b.op('Flatten', [x]),
    Max: (b, x) => b.op('Max', [x]),
    Mul: (b, x) => b.op('Mul', [x, b.constant('one', Tensor.float32([2, 3], [1, 1, 1, 1, 1, 1]))]),
    Pad: (b, x) => b.op('Pad', [x, k(b, 'k', 0, 0, 0, 0)]),
    Pow: (b, x) => b.op('Pow', [x, scalar(b, 1)]),
    Reshape: (b, x) => b.op('Reshape', [x, k(b, 'k', -1, 3)]),
    Slice: (b, x) => b.op('Slice', [x, k(b, 'a', 0), k(b, 'e', 100), k(b, 'axis', 1)]),
    Split: (b, x) => b.op('Split', [x, k(b, 'k', 3)], { axis: int(1) }),
    Sub: (b, x) => b.op('Sub', [x, scalar(b, 0)]),
    Tile: (b, x) => b.op('Tile', [x, k(b, 'k', 1, 1)]),
    Transpose: (b, x) => b.op('Transpose', [x], { perm: ints([0, 1]) }),
  }

  it.each(Object.entries(NOTHING))('removes a %s that changes nothing', async (_, build) => {
    await expectFires(
      modelOf([2, 3], (b, x) => b.op('Relu', [build(b, x)])),
      'eliminate-noop',
      ['Relu'],
    )
  })

  const SOMETHING: Record<string, Build> = {
    'Add with broadcasting': (b, x) =>
      b.op('Add', [x, b.constant('z', Tensor.float32([1, 2, 3], new Array(6).fill(0)))]),
    'Cast to another type': (b, x) => b.op('Cast', [b.op('Cast', [x], { to: int(11) })], { to: int(1) }),
    'Div of 1 by x': (b, x) => b.op('Div', [scalar(b, 1), x]),
    'Pad that shifts': (b, x) => b.op('Pad', [x, k(b, 'k', 0, 1, 0, -1)]),
    'Slice backwards': (b, x) => b.op('Slice', [x, k(b, 'a', -1), k(b, 'e', -100), k(b, 'axis', 1), k(b, 'step', -1)]),
    'Sub from 0': (b, x) => b.op('Sub', [scalar(b, 0), x]),
    'Transpose of a square': (b, x) =>
      b.op('Transpose', [b.op('MatMul', [x, b.op('Transpose', [x], { perm: ints([1, 0]) })])], { perm: ints([1, 0]) }),
  }

  it.each(Object.entries(SOMETHING))('keeps %s', async (_, build) => {
    const result = await apply(
      modelOf([2, 3], (b, x) => b.op('Relu', [build(b, x)])),
      'eliminate-noop',
    )
    expect(result.fired).toBe(0)
  })
})

describe('fuse', () => {
  it('merges Transposes in the right order', async () => {
    const model = modelOf([2, 3, 4], (b, x) =>
      b.op('Transpose', [b.op('Transpose', [x], { perm: ints([1, 2, 0]) })], { perm: ints([0, 2, 1]) }),
    )
    await expectFires(model, 'fuse-transposes', ['Transpose'])
  })

  it('keeps the first Transpose for its other reader', async () => {
    const model = modelOf([2, 3, 4], (b, x) => {
      const first = b.op('Transpose', [x])
      return b.op('Add', [b.op('Transpose', [b.op('Transpose', [first])]), first])
    })
    await expectFires(model, 'fuse-transposes', ['Transpose', 'Transpose', 'Add'])
  })

  it('merges reshapes of every kind', async () => {
    const shape = (b: GraphBuilder, ...v: number[]) => b.constant('shape', Tensor.int64([v.length], v))
    const model = modelOf([2, 3, 4], (b, x) => {
      const flat = b.op('Flatten', [b.op('Unsqueeze', [x, shape(b, 0)])])
      return b.op('Reshape', [b.op('Reshape', [flat, shape(b, 4, -1)]), shape(b, 3, 8)])
    })
    await expectFires(model, 'fuse-reshapes', ['Reshape'])
    const copying = modelOf([2, 3, 4], (b, x) =>
      b.op('Reshape', [b.op('Reshape', [x, shape(b, 6, 4)]), shape(b, 0, 2, 2)]),
    )
    await expectDeclines(copying, 'fuse-reshapes', /copies dimensions/)
  })

  const padConv = (pads: readonly number[], value = 0, attributes = {}, mode = 'constant') =>
    modelOf([1, 2, 5, 6], (b, x) => {
      const r = seeded()
      const inputs = [x, b.constant('p', Tensor.int64([8], pads)), b.constant('v', Tensor.float32([], [value]))]
      const w = b.constant('w', normal(r, [3, 2 + (pads[1] as number), 3, 3]))
      return b.op('Conv', [b.op('Pad', inputs, { mode: string(mode) }), w], attributes)
    })

  it('moves zero padding into Conv, on top of its own', async () => {
    const own = { pads: ints([1, 0, 0, 1]) }
    const result = await expectFires(padConv([0, 0, 1, 2, 0, 0, 3, 0], 0, own), 'fuse-pad', ['Conv'], ROUNDED)
    expect(result.graph.nodes.first?.attributes.get('pads')).toEqual(ints([2, 2, 3, 1]))
  })

  it('declines other padding', async () => {
    await expectDeclines(padConv([0, 0, 1, 1, 0, 0, 1, 1], 1), 'fuse-pad', /something else than zero/)
    await expectDeclines(padConv([0, 0, 1, 1, 0, 0, 1, 1], 0, {}, 'reflect'), 'fuse-pad', /not fill with a constant/)
    await expectDeclines(padConv([0, 0, -1, 1, 0, 0, 1, 1]), 'fuse-pad', /crops/)
    await expectDeclines(padConv([0, 1, 0, 0, 0, 0, 0, 0]), 'fuse-pad', /batch or the channels/)
    const same = { auto_pad: string('SAME_UPPER') }
    await expectDeclines(padConv([0, 0, 1, 1, 0, 0, 1, 1], 0, same), 'fuse-pad', /pads by SAME_UPPER/)
  })
})

describe('cast-like-to-cast', () => {
  it.each(['float16', 'int8', 'bool'] as const)('casts to %s without what has that type', async (dtype) => {
    const model = modelOf([2, 3], (b, x) => {
      const like = b.op('Cast', [b.op('Exp', [x])], { to: int(dtypeToOnnx(dtype)) })
      return b.op('Cast', [b.op('CastLike', [x, like])], { to: int(dtypeToOnnx('float32')) })
    })
    await expectFires(model, 'cast-like-to-cast', ['Cast', 'Cast'])
  })

  it('keeps whether large values saturate', async () => {
    const clipped = modelOf(
      [2, 3],
      (b, x) => {
        const like = b.constant('like', Tensor.fromNumbers('float8e4m3fn', [1], [1]))
        const large = b.op('Mul', [x, b.constant('k', Tensor.float32([], [1e4]))])
        return b.op('Cast', [b.op('CastLike', [large, like], { saturate: int(0) })], { to: int(1) })
      },
      19,
    )
    const folded = await expectFires(clipped, 'cast-like-to-cast', ['Mul', 'Cast', 'Cast'])
    const { y } = await runModel(engine, folded, randomFeeds(clipped, 11))
    expect(y?.numbers().some(Number.isNaN)).toBe(true)
  })

  it('waits for the type', async () => {
    const unknown = modelOf([2], (b, x) => b.op('CastLike', [x, b.op('Mystery', [x], {}, { domain: 'com.example' })]))
    await expectDeclines(unknown, 'cast-like-to-cast', /type to cast to is not known/)
  })
})
