import { describe, expect, it } from 'vitest'
import { asTensor, type Model, parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { parseOverride } from './overrides.ts'
import { groupsOf, type QuantPlan } from './plan.ts'
import { planQuantization } from './planner.ts'
import type { PlannerOptions } from './planner-options.ts'
import type { OpRule, Target } from './target.ts'

/** A network in the text form, at opset 17: inputs called x… carry data, all others are parameters and become zeros. */
function net(text: string): Model {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17, "com.microsoft": 1]> main ${text}`)
  const { graph } = model
  const parameters = graph.inputs.filter((value) => !value.name.startsWith('x'))
  for (const value of parameters) {
    const dims = (asTensor(value.type)?.shape ?? []) as readonly number[]
    value.constant = Tensor.float32(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)))
    graph.initializers.add(value)
  }
  graph.inputs.splice(0, graph.inputs.length, ...graph.inputs.filter((value) => value.name.startsWith('x')))
  for (const node of graph.nodes) node.name = node.outputs[0]?.name ?? ''
  inferShapes(model, { ops: defaultOps })
  return model
}

const INTEGER: OpRule = { mode: 'integer' }
const backend = (over: Partial<Target>): Target => ({
  ...onnxruntime,
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor' },
  fuse: [{ name: 'ConvRelu', hosts: ['Conv', 'Gemm', 'Add'], chain: ['Relu'] }],
  ops: { ...onnxruntime.ops, Pad: INTEGER, Sub: INTEGER },
  ...over,
})
const plan = (model: Model, target: Target, options?: PlannerOptions) =>
  planQuantization(model, target, defaultOps, options)
const decisions = (p: QuantPlan) => Object.fromEntries(p.nodes.map((n) => [n.node, n.decision]))
const reasons = (p: QuantPlan) => Object.fromEntries(p.nodes.map((n) => [n.node, n.reason.code]))
/** Quantized activations with their readers. */
const edges = (p: QuantPlan) =>
  p.tensors
    .filter((t) => t.role === 'activation')
    .map((t) => `${t.value} -> ${t.readers.join(' ')}${t.graphOutput ? ' + output' : ''}`)
const tensor = (p: QuantPlan, name: string) => p.tensors.find((t) => t.value === name)

const RESIDUAL = `(float32[1,4,8,8] x, float32[4,4,1,1] w1, float32[4,4,1,1] w2, float32[4,4,1,1] w3, float32[4] b) => (float32[1,4,8,8] y) {
  c1 = Conv(x, w1, b) r1 = Relu(c1) c2 = Conv(r1, w2) s = Add(c2, r1) r2 = Relu(s) y = Conv(r2, w3) }`

describe('quant points', () => {
  it('both: what integer kernels read and make', () => {
    expect(edges(plan(net(RESIDUAL), backend({})))).toEqual([
      'x -> c1',
      'r1 -> c2 s',
      'c2 -> s',
      'r2 -> y',
      'y ->  + output',
    ])
  })

  it('inputs: only what kernels read, so that results stay in float where nobody reads codes', () => {
    expect(edges(plan(net(RESIDUAL), backend({ points: 'inputs' })))).toEqual([
      'x -> c1',
      'r1 -> c2 s',
      'c2 -> s',
      'r2 -> y',
    ])
  })

  it('inputs: what lies between two products is read as codes although nobody makes codes', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4] v) => (float32[1,4] y) {
      c = Conv(x, w) s = Add(c, x) g = GlobalAveragePool(s) f = Flatten(g) y = Gemm(f, v) }`)
    expect(edges(plan(model, backend({ points: 'inputs' })))).toEqual([
      'x -> c s',
      'c -> s',
      's -> g',
      'g -> f',
      'f -> y',
    ])
  })

  it('outputs: all that kernels make, and where float values enter', () => {
    const model = net(`(float32[1,8] x, float32[8,8] w1, float32[8,8] w2) => (float32[1,8] y) {
      g = Gemm(x, w1) e = Exp(g) y = Gemm(e, w2) }`)
    expect(edges(plan(model, backend({ points: 'outputs' })))).toEqual(['x -> g', 'g -> e', 'e -> y', 'y ->  + output'])
    expect(edges(plan(model, backend({})))).toEqual(['x -> g', 'e -> y'])
  })

  it('inputs: all read what a kernel rounds to the grid of its input, as OpenVINO averages', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] v, float32[4,4,1,1] w) => (float32[1,4,4,4] y) {
      a = Conv(x, v) p = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(a) c = Conv(p, w) e = Exp(p) y = Mul(c, e) }`)
    const over = (rule: OpRule) => backend({ points: 'inputs', ops: { ...onnxruntime.ops, AveragePool: rule } })
    expect(edges(plan(model, over({ mode: 'integer', align: 'input' })))).toContain('p -> c e')
    expect(edges(plan(model, over({ mode: 'integer' })))).toContain('p -> c')
  })

  it('leaves constant operands in float where the file has no place for them', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,1,1] k) => (float32[1,4,8,8] y) {
      c = Conv(x, w) m = Mul(c, k) y = Conv(m, w) }`)
    expect(tensor(plan(model, backend({})), 'k')).toMatchObject({ role: 'weight', reason: { code: 'OPERAND' } })
    expect(tensor(plan(model, backend({ constants: 'float' })), 'k')).toBeUndefined()
  })

  it('leaves the branch of an Add in float that its convolution takes over, as TensorRT does', () => {
    const fuse = [
      { name: 'ConvAddRelu', hosts: ['Conv'], chain: ['Add', 'Relu'] },
      { name: 'ConvRelu', hosts: ['Conv'], chain: ['Relu'] },
    ]
    const p = plan(net(RESIDUAL), backend({ points: 'inputs', fuse }))
    expect(edges(p)).toEqual(['x -> c1', 'r1 -> c2 s', 'r2 -> y'])
    expect(decisions(p)).toMatchObject({ c1: 'integer', r1: 'fused', c2: 'integer', s: 'fused', r2: 'fused' })
  })

  it('gives the Relu behind such an Add to the convolution as well, although the Add could host it', () => {
    const fuse = [
      { name: 'AddRelu', hosts: ['Conv'], chain: ['Add', 'Relu'] },
      { name: 'Relu', hosts: ['Conv', 'Add'], chain: ['Relu'] },
    ]
    const p = plan(net(RESIDUAL), backend({ points: 'inputs', fuse }))
    expect(decisions(p)).toMatchObject({ c2: 'integer', s: 'fused', r2: 'fused' })
    expect(p.nodes.find((n) => n.node === 'r2')?.reason.text).toContain('Conv "c2"')
  })

  it('gives an Add of two convolutions to the first operand where the backend does, as OpenVINO', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w1, float32[4,4,1,1] w2) => (float32[1,4,8,8] y) {
      a = Conv(x, w1) b = Conv(x, w2) y = Add(a, b) }`)
    const fuse = [{ name: 'ConvAdd', hosts: ['Conv'], chain: ['Add'], branch: 'first-operand' as const }]
    expect(edges(plan(model, backend({ points: 'inputs', fuse })))).toEqual(['x -> a b', 'b -> y'])
  })

  it('gives an Add of two convolutions to the later one, whose sibling is computed by then', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w1, float32[4,4,1,1] w2) => (float32[1,4,8,8] y) {
      a = Conv(x, w1) b = Conv(x, w2) y = Add(a, b) }`)
    const p = plan(model, backend({ points: 'inputs', fuse: [{ name: 'ConvAdd', hosts: ['Conv'], chain: ['Add'] }] }))
    expect(edges(p)).toEqual(['x -> a b', 'a -> y'])
  })
})

describe('fusion', () => {
  const host = (body: string) => `(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,8,8] y)
    <float32[] one = {1}, float32[] half = {0.5}, float32[] root = {1.4142135}, float32[] three = {3}, float32[] six = {6}, float32[] zero = {0}>
    { c = Conv(x, w) ${body} y = Conv(o, v) }`
  const fuse = ['Swish', 'Mish', 'HardSwish', 'Gelu', 'PRelu'].map((name) => ({ name, hosts: ['Conv'], chain: [name] }))

  it.each([
    ['x·sigmoid(x)', 's = Sigmoid(c) o = Mul(c, s)'],
    ['x·tanh(softplus(x))', 'p = Softplus(c) t = Tanh(p) o = Mul(t, c)'],
    ['HardSwish', 'o = HardSwish(c)'],
    ['x·relu6(x + 3) / 6', 'a = Add(c, three) k = Clip(a, zero, six) m = Mul(c, k) o = Div(m, six)'],
    ['x·hardsigmoid(x)', 'h = HardSigmoid(c) o = Mul(c, h)'],
    ['Gelu by erf', 'd = Div(c, root) e = Erf(d) a = Add(e, one) m = Mul(c, a) o = Mul(m, half)'],
    ['Gelu by erf, halved first', 'd = Div(c, root) e = Erf(d) a = Add(e, one) m = Mul(c, half) o = Mul(m, a)'],
    ['com.microsoft Gelu', 'o = com.microsoft::Gelu(c)'],
    ['PRelu', 'o = PRelu(c, one)'],
  ])('absorbs %s', (_, body) => {
    const p = plan(net(host(body)), backend({ fuse }))
    expect(edges(p)).toEqual(['x -> c', 'o -> y', 'y ->  + output'])
    expect(p.nodes.slice(1, -1).map((n) => n.decision)).toEqual(p.nodes.slice(1, -1).map(() => 'fused'))
  })

  it('does not absorb what somebody outside reads, or another activation of the same operators', () => {
    const shared = plan(net(host('s = Sigmoid(c) m = Mul(c, s) q = Neg(s) o = Add(m, q)')), backend({ fuse }))
    expect(decisions(shared).s).not.toBe('fused')
    const other = plan(net(host('s = Sigmoid(c) o = Mul(s, one)')), backend({ fuse }))
    expect(decisions(other).s).not.toBe('fused')
  })

  it('absorbs a Relu into symmetric codes where the kernel clips its accumulator', () => {
    expect(decisions(plan(net(RESIDUAL), backend({}))).r1).toBe('fused')
    const fused = [{ name: 'ConvRelu', hosts: ['Conv'], chain: ['Relu'], clips: 'codes' as const }]
    expect(decisions(plan(net(RESIDUAL), backend({ fuse: fused }))).r1).toBe('float')
  })
})

describe('dispatch', () => {
  const chain = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,8,8] y) {
    before = Add(x, x) c = Conv(before, w) e = Exp(c) behind = Add(e, e) d = Conv(behind, v) y = Add(d, d) }`)
  const quantized = (dispatch: PlannerOptions['dispatch']) =>
    plan(chain, backend({}), { ...(dispatch ? { dispatch } : {}) })
      .nodes.filter((n) => n.decision === 'integer')
      .map((n) => n.node)

  it.each([
    ['neighbours', ['c', 'd']],
    ['conservative', ['c', 'd', 'y']],
    ['aggressive', ['c', 'behind', 'd', 'y']],
    ['conv-to-conv', ['c', 'd']],
    ['listed', ['before', 'c', 'behind', 'd', 'y']],
  ] as const)('%s', (name, expected) => expect(quantized(name)).toEqual(expected))

  it('conv-to-conv keeps what lies between', () => {
    const p = plan(net(RESIDUAL), backend({}), { dispatch: 'conv-to-conv' })
    expect(decisions(p).s).toBe('integer')
  })

  it('quantizes what an override names, whatever the dispatcher', () => {
    const p = plan(chain, backend({}), { overrides: [parseOverride('name=before:w8a8')] })
    expect(decisions(p).before).toBe('integer')
    expect(reasons(p).behind).toBe('NO_INTEGER_SOURCE')
  })
})

describe('tails', () => {
  const classifier = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w) => (float32[1,4] y) {
    c = Conv(x, w) p = GlobalAveragePool(c) f = Flatten(p) y = Softmax(f) }`)
  const boxes =
    net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v, float32[1] stride) => (float32[1,8,8,8] y) {
    c = Conv(x, w) d = Conv(x, v) s = Sigmoid(c) m = Mul(d, stride) y = Concat<axis = 1>(s, m) }`)
  const merge = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,8,8,8] y) {
    c = Conv(x, w) d = Conv(x, v) r = Relu(c) y = Concat<axis = 1>(r, d) }`)
  const listed = backend({ dispatch: 'listed' })

  it('leaves final probabilities in float, and quantizes what stands before them', () => {
    const p = plan(classifier, listed)
    expect(reasons(p)).toMatchObject({ p: 'INTEGER_LISTED', f: 'MOVES_CODES', y: 'TAIL_PROBABILITIES' })
    expect(p.diagnostics.map((d) => d.code)).toEqual(['PLAN_TAIL'])
    expect(decisions(plan(classifier, listed, { tails: 'quantize' })).y).toBe('integer')
    expect(decisions(plan(classifier, { ...listed, fallback: 'none' })).y).toBe('integer')
  })

  it('leaves the decoding of boxes in float', () => {
    expect(reasons(plan(boxes, listed))).toMatchObject({
      s: 'TAIL_DETECTION',
      m: 'TAIL_DETECTION',
      y: 'TAIL_DETECTION',
    })
  })

  it('takes arithmetic on shapes for no decoding', () => {
    const reshaped =
      net(`(float32[1,4,8,8] x, float32[4,4,1,1] w) => (float32[1,256] y) <int64[] zero = {0}, int64[1] rest = {-1}> {
      c = Conv(x, w) i = Identity(c) s = Shape(i) n = Gather(s, zero) n1 = Unsqueeze(n, rest) t = Concat<axis = 0>(n1, rest)
      y = Reshape(i, t) }`)
    expect(decisions(plan(reshaped, listed)).y).toBe('integer')
  })

  it('takes a plain join of feature maps for what it is', () => {
    expect(decisions(plan(merge, listed)).y).toBe('integer')
  })
})

describe('a backend without float kernels', () => {
  it('is warned of each operator on floats that it cannot run, and of no shape arithmetic', () => {
    const model = net(`(float32[1,4] x, float32[4,4] w) => (float32[1,4] y, int64[2] s) {
      c = Gemm(x, w) e = Erf(c) f = Erf(e) s = Shape(f) y = Gemm(f, w) }`)
    const p = plan(model, backend({ fallback: 'none', dispatch: 'listed' }))
    expect(p.diagnostics.map(({ code, at, notes }) => ({ code, at, notes }))).toEqual([
      { code: 'PLAN_UNSUPPORTED', at: { node: 'e' }, notes: ['e', 'f'] },
    ])
    expect(plan(model, backend({ dispatch: 'listed' })).diagnostics).toEqual([])
  })
})

describe('alignment', () => {
  const sum = `(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,8,8] y) {
    a = Conv(x, w) b = Conv(x, v) y = Add(a, b) }`
  const groups = (align: OpRule['align']) => {
    const ops = { ...onnxruntime.ops, Add: { mode: 'integer' as const, ...(align ? { align } : {}) } }
    const p = plan(net(sum), backend({ dispatch: 'listed', ops }))
    return [...groupsOf(p)].flatMap(([, members]) => {
      const activations = members.filter((m) => m.role === 'activation')
      return activations.length > 1 ? [activations.map((m) => `${m.value} ${m.source.kind}`)] : []
    })
  }

  it.each([
    [undefined, []],
    ['none', []],
    ['large', [['a calibrate', 'b calibrate']]],
    ['output', [['a follow', 'b follow', 'y calibrate']]],
    ['input', [['a calibrate', 'y follow']]],
  ] as const)('%s', (align, expected) => expect(groups(align)).toEqual(expected))
})

describe('sharing', () => {
  const join = `(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v, float32[4,8,1,1] u) => (float32[1,4,8,8] y) {
    c = Conv(x, w) r = Relu(c) d = Conv(x, v) j = Concat<axis = 1>(r, d) y = Conv(j, u) }`
  const joined = (clips: 'codes' | 'accumulator') => {
    const fuse = [{ name: 'Relu', hosts: ['Conv'], chain: ['Relu'], clips }]
    const activations = { ...backend({}).activations, symmetric: false }
    const p = plan(net(join), backend({ fuse, activations }))
    return ['r', 'd'].map((name) => tensor(p, name)?.group === tensor(p, 'j')?.group)
  }

  it('keeps a branch whose codes end where it clips on a scale of its own, and no other', () => {
    expect(joined('codes')).toEqual([false, true])
    expect(joined('accumulator')).toEqual([true, true])
  })
})

describe('specs', () => {
  it('takes unsigned codes for what is never negative, through nodes that move', () => {
    const activations = { ...backend({}).activations, unsignedWherePossible: true as const }
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,4,4] y) {
      c = Conv(x, w) r = Relu(c) m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r) y = Conv(m, v) }`)
    const p = plan(model, backend({ activations }))
    expect(['x', 'r', 'm', 'y'].map((name) => tensor(p, name)?.spec.signed)).toEqual([true, false, false, true])
  })

  it('takes unsigned codes for means of what is never negative, and lets an Add read them beside signed ones', () => {
    const activations = { ...backend({}).activations, unsignedWherePossible: true as const }
    const ops = { ...onnxruntime.ops, ReduceMean: INTEGER }
    const model = () =>
      net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,1,1] y) {
      c = Conv(x, w) r = Relu(c) p = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(r) g = GlobalAveragePool(p)
      d = Conv(g, v) y = Add(d, g) }`)
    const both = backend({ activations, ops, dispatch: 'listed' })
    const mixed = plan(model(), { ...both, kernels: { ...both.kernels, mixed: true } })
    expect(['r', 'p', 'g', 'd'].map((name) => tensor(mixed, name)?.spec.signed)).toEqual([false, false, false, true])
    expect(decisions(mixed).y).toBe('integer')
    expect(reasons(plan(model(), both)).y).toBe('NO_KERNEL_FOR_BITS')
  })

  it('keeps the first and the last product, and what they read, at bits of their own', () => {
    const p = plan(net(RESIDUAL), backend({ edgeBits: 8, points: 'inputs' }), { scheme: 'w4a4' })
    const bits = (names: string[]) => names.map((name) => tensor(p, name)?.spec.bits)
    expect(bits(['w1', 'w2', 'w3'])).toEqual([8, 4, 8])
    expect(bits(['x', 'r1', 'r2'])).toEqual([8, 4, 8])
  })

  it('keeps all that shares a scale with what the last product reads at its bits, and sees no conflict', () => {
    const model =
      net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] u, float32[4,4] v) => (float32[1,4] y) {
      c = Conv(x, w) d = Conv(c, u) m = MaxPool<kernel_shape = [8, 8]>(d) f = Flatten(m) y = MatMul(f, v) }`)
    const p = plan(model, backend({ edgeBits: 8 }), { scheme: 'w4a4' })
    expect(p.diagnostics.filter(({ code }) => code === 'PLAN_CONFLICT')).toEqual([])
    expect(
      groupsOf(p)
        .get('d')
        ?.map((t) => [t.value, t.spec.bits]),
    ).toEqual([
      ['d', 8],
      ['m', 8],
      ['f', 8],
    ])
    expect(tensor(p, 'c')?.spec.bits).toBe(8)
  })

  it('gives the weights of one kernel shape fewer codes, another axis, and the bias a scale of its own or none', () => {
    const model = () =>
      net(`(float32[1,4,8,8] x, float32[4,4,3,3] w, float32[4,4,1,1] v, float32[4] b) => (float32[1,4,6,6] y) {
      c = Conv(x, w, b) y = Conv(c, v) }`)
    const Conv: OpRule = { mode: 'integer', channelAxis: 1, weightsOf: { kernel: [3, 3], rule: { bits: 6 } } }
    const own = backend({ ops: { Conv }, bias: { bits: 16, scale: 'own' } })
    const p = plan(model(), own)
    expect(tensor(p, 'w')?.spec).toMatchObject({ bits: 6, granularity: { kind: 'channel', axis: 1 } })
    expect(tensor(p, 'v')?.spec.bits).toBe(8)
    expect(tensor(p, 'b')).toMatchObject({ role: 'bias', spec: { bits: 16 }, source: { kind: 'weight' } })
    const { bias: _none, ...without } = own
    expect(tensor(plan(model(), without), 'b')).toBeUndefined()
  })

  it('takes the scheme that the target is mostly asked for', () => {
    const p = plan(net(RESIDUAL), backend({ defaultScheme: 'w8' }))
    expect([p.scheme, p.tensors.map((t) => t.role)]).toEqual(['w8', ['weight', 'weight', 'weight']])
    expect(plan(net(RESIDUAL), backend({ defaultScheme: 'w8' }), { scheme: 'w8a8' }).scheme).toBe('w8a8')
  })

  it('leaves an Add of a constant in float where the backend takes it for a bias', () => {
    const model =
      net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,1,1] b, float32[4,4,1,1] v) => (float32[1,4,8,8] y) {
      c = Conv(x, w) s = Add(c, b) t = Add(s, x) y = Conv(t, v) }`)
    const Add: OpRule = { mode: 'integer', computedOperands: true }
    const p = plan(model, backend({ ops: { ...onnxruntime.ops, Add }, dispatch: 'listed' }))
    expect(reasons(p)).toMatchObject({ s: 'CONSTANT_OPERAND', t: 'INTEGER_LISTED' })
  })

  it('runs a node in integers only where its neighbours that sum products give it scales', () => {
    const model =
      net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v, float32[4,4,1,1] u) => (float32[1,4,8,8] s, float32[1,4,8,8] p) {
      c = Conv(x, w) d = Conv(c, v) a = Add(d, c) r = Relu(a) y = Conv(r, u) h = Sin(c)
      m = Add(y, h) z = Conv(m, u) s = Add(z, r) p = AveragePool<kernel_shape = [1, 1]>(z) o = AveragePool<kernel_shape = [1, 1]>(s) }`)
    const Add: OpRule = { mode: 'integer', readBy: 'product' }
    const AveragePool: OpRule = { mode: 'integer', align: 'input', readBy: 'no-product' }
    const p = plan(model, backend({ ops: { ...onnxruntime.ops, Add, AveragePool }, dispatch: 'listed' }))
    expect(reasons(p)).toMatchObject({ a: 'INTEGER_LISTED', m: 'REAL_OPERAND', s: 'NO_SCALE' })
    expect(reasons(p)).toMatchObject({ p: 'INTEGER_LISTED', o: 'REAL_OPERAND' })
    expect(edges(p)).toContain('r -> y s')
    expect(edges(p)).toContain('m -> z')
  })

  it('takes the slopes of a PRelu for an operand in the codes of its input', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,1,1] slope) => (float32[1,4,8,8] y) {
      c = Conv(x, w) y = PRelu(c, slope) }`)
    const p = plan(model, backend({ ops: { ...onnxruntime.ops, PRelu: INTEGER }, dispatch: 'listed' }))
    expect(tensor(p, 'slope')).toMatchObject({ role: 'weight', spec: tensor(p, 'c')?.spec, source: { kind: 'weight' } })
  })

  it('quantizes only the weight where the target computes in float with it', () => {
    const p = plan(net(RESIDUAL), backend({ ops: { ...onnxruntime.ops, Conv: { mode: 'weights' } } }))
    expect(p.tensors.map((t) => `${t.role} ${t.value}`)).toEqual(['weight w1', 'weight w2', 'weight w3'])
    expect(reasons(p)).toMatchObject({ c1: 'WEIGHTS_ONLY', s: 'NO_INTEGER_READER' })
  })

  it('writes the rounding and the arithmetic of the target into each spec', () => {
    const p = plan(net(RESIDUAL), backend({ rounding: 'half-away', reciprocal: true, addThenRound: true }))
    expect(tensor(p, 'r1')?.spec).toMatchObject({ rounding: 'half-away', reciprocal: true, addThenRound: true })
  })

  it('gives a result the range that the kernel has built in', () => {
    const Softmax: OpRule = { mode: 'integer', fixedOutput: { scale: 1 / 256, zeroPoint: -128 } }
    const model = net('(float32[1,4] x, float32[4,4] w) => (float32[1,4] y) { c = Gemm(x, w) y = Softmax(c) }')
    const p = plan(model, backend({ ops: { ...onnxruntime.ops, Softmax }, fallback: 'none', dispatch: 'listed' }))
    expect(tensor(p, 'y')?.source).toEqual({ kind: 'fixed', range: { lo: 0, hi: 255 / 256 } })
    const wide = plan(model, backend({ ops: { ...onnxruntime.ops, Softmax }, fallback: 'none', dispatch: 'listed' }), {
      scheme: 'w8a16',
    })
    expect(tensor(wide, 'y')?.source).toEqual({ kind: 'fixed', range: { lo: 0, hi: 65535 / 65536 } })
  })

  it('puts the value that Pad fills with on the scale of its input', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,10,10] y)
      <int64[8] pads = {0,0,1,1,0,0,1,1}, float32[] fill = {0.5}> { c = Conv(x, w) p = Pad(c, pads, fill) y = Conv(p, v) }`)
    expect(tensor(plan(model, backend({})), 'fill')).toMatchObject({ role: 'fill', group: 'c', readers: ['p'] })
  })

  it('quantizes no result of a mover once more where the target does without', () => {
    const model = net(`(float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] v) => (float32[1,4,4,4] y) {
      c = Conv(x, w) m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(c) y = Conv(m, v) }`)
    expect(edges(plan(model, backend({ repeats: 'drop' })))).toEqual(['x -> c', 'c -> m', 'y ->  + output'])
  })
})

describe('overrides by way', () => {
  it('speak of the nodes between two', () => {
    const p = plan(net(RESIDUAL), backend({}), { overrides: [parseOverride('from=c2,to=r2:float')] })
    expect(decisions(p)).toMatchObject({ c1: 'integer', c2: 'float', s: 'float', y: 'integer' })
  })

  it.each(['from=nobody:float', 'from=y,to=c1:float'])('%s encloses nothing', (text) => {
    expect(() => plan(net(RESIDUAL), backend({}), { overrides: [parseOverride(text)] })).toThrow(/OVERRIDE_SPAN/)
  })
})
