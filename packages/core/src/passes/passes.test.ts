import { nodeEngine } from '@fewbit/engine-node'
import { newModel, normal, randomCnn, runModel } from '@fewbit/testkit'
import { describe, expect, it, vi } from 'vitest'
import {
  attribute,
  GraphBuilder as Builder,
  Graph,
  type GraphBuilder,
  type Model,
  Tensor,
  tensorType,
  type Value,
} from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { Diagnostics, FewbitError, rng } from '../util/index.ts'
import {
  checkStage,
  foldConstants,
  inferShapesPass,
  PASSES,
  type Pass,
  type PassContext,
  runPasses,
  structuralHash,
  type TraceEvent,
} from './index.ts'

const { int, ints, graph: graphAttribute } = attribute
const engine = nodeEngine()

function context(extra: Partial<PassContext> = {}) {
  const trace: TraceEvent[] = []
  const diagnostics = new Diagnostics()
  return { ops: defaultOps, diagnostics, trace: (e: TraceEvent) => void trace.push(e), events: trace, ...extra }
}

async function run(model: Model, passes: readonly Pass[], extra: Partial<PassContext> = {}) {
  const cx = context(extra)
  const report = await runPasses(model, [inferShapesPass, ...passes], cx, { check: true })
  return { ...report, types: [...model.graph.nodes].map((n) => n.opType), diagnostics: cx.diagnostics.list }
}

function modelOf(build: (b: GraphBuilder, x: Value) => Value | readonly Value[]): Model {
  const { model, b } = newModel()
  for (const y of [build(b, b.input('x', tensorType('float32', ['N', 4])))].flat()) b.output(y)
  return model
}

const weight = (b: GraphBuilder, name: string, seed = 1) => b.constant(name, normal(rng(seed), [4, 4]))
const names = (model: Model) => [...model.graph.initializers].map((v) => v.name)

describe('runPasses', () => {
  const endless: Pass = {
    name: 'endless',
    summary: '',
    run(model) {
      model.metadata.set('n', String(Number(model.metadata.get('n') ?? 0) + 1))
      return { modified: true }
    },
  }
  const empty = () => modelOf((b, x) => b.op('Relu', [x]))

  it('stops after the permitted rounds and says that it did not converge', async () => {
    const model = empty()
    const report = await runPasses(model, [endless], context(), { maxRounds: 3 })
    expect(report).toMatchObject({ modified: true, rounds: 3, converged: false })
    expect(model.metadata.get('n')).toBe('3')
  })

  it('catches a pass that lies about what it did', async () => {
    const silent: Pass = { ...endless, name: 'silent', run: (m, cx) => ({ ...endless.run(m, cx), modified: false }) }
    await expect(runPasses(empty(), [silent], context(), { check: true })).rejects.toThrow(/silent says modified false/)
    const boaster: Pass = { name: 'boaster', summary: '', run: () => ({ modified: true }) }
    await expect(runPasses(empty(), [boaster], context(), { check: true })).rejects.toThrow(
      /boaster says modified true/,
    )
  })

  it('catches a pass that breaks the model', async () => {
    const breaker: Pass = {
      name: 'breaker',
      summary: '',
      run(m) {
        m.graph.outputs[0]?.producer?.setInput(0, new Builder(new Graph()).input('gone'))
        return { modified: true }
      },
    }
    await expect(runPasses(empty(), [breaker], context(), { check: true })).rejects.toThrow(/breaker broke the model/)
  })

  it('names the pass and the node of a failure', async () => {
    const model = modelOf((b, x) => b.op('Transpose', [x], { perm: int(3) }))
    const [node] = model.graph.nodes
    const error = await runPasses(model, [PASSES['eliminate-noop']], context()).catch((e) => e)
    expect(error).toBeInstanceOf(FewbitError)
    expect(error.diagnostics[0]).toMatchObject({ at: { node: node?.name } })
    expect(error.message).toContain('eliminate-noop')
  })

  it('reports declines once, as the last round has them', async () => {
    const model = modelOf((b, x) => b.op('Identity', [b.op('Identity', [x])]))
    const cx = context()
    await runPasses(model, [PASSES['eliminate-identity']], cx)
    expect(cx.events.map((e) => e.kind)).toEqual(['fired', 'declined'])
  })

  it('stops at a signal', async () => {
    const signal = AbortSignal.abort()
    await expect(runPasses(empty(), [endless], context({ signal }))).rejects.toThrow(/abort/i)
  })
})

describe('dead-code', () => {
  it('removes what nothing reads, in chains, and keeps inputs and outputs', async () => {
    const model = modelOf((b, x) => {
      b.op('Exp', [b.op('MatMul', [x, weight(b, 'w')])])
      return b.op('Relu', [x])
    })
    const { types } = await run(model, [PASSES['dead-code']])
    expect(types).toEqual(['Relu'])
    expect(names(model)).toEqual([])
    expect(model.graph.inputs).toHaveLength(1)
  })

  it('drops an optional output that nothing reads, and no other', async () => {
    const model = modelOf((b, x) => {
      const [y] = b.ops('Dropout', [x], {}, { outputs: 2 })
      const [, indices] = b.ops('TopK', [x, b.constant('k', Tensor.int64([1], [2]))], {}, { outputs: 2 })
      return [y as Value, indices as Value]
    })
    await run(model, [PASSES['dead-code']])
    expect([...model.graph.nodes].map((n) => n.outputs.map((o) => o !== null))).toEqual([
      [true, false],
      [true, true],
    ])
  })

  it('removes an unread If with everything that only its branches read', async () => {
    const model = modelOf((b, x) => {
      const outer = b.op('Exp', [x])
      const flag = b.constant('flag', Tensor.fromStorage('bool', [], Uint8Array.of(1)))
      const branch = (name: string) => {
        const inner = new Builder(new Graph(name))
        inner.output(inner.op('Relu', [outer], {}, { name }))
        return graphAttribute(inner.graph)
      }
      b.op('If', [flag], { then_branch: branch('then'), else_branch: branch('else') })
      return b.op('Neg', [x])
    })
    expect((await run(model, [PASSES['dead-code']])).types).toEqual(['Neg'])
    expect(names(model)).toEqual([])
  })
})

describe('sharing', () => {
  it('merges equal expressions, in chains, but not quantizers, effects or graph outputs', async () => {
    const model = modelOf((b, x) => {
      const chain = () => b.op('Exp', [b.op('LeakyRelu', [x], { alpha: attribute.float(0.1) })])
      const other = b.op('Exp', [b.op('LeakyRelu', [x], { alpha: attribute.float(0.2) })])
      return [b.op('Sum', [chain(), chain(), other]), b.op('Neg', [x]), b.op('Neg', [x])]
    })
    const { types } = await run(model, [PASSES['common-subexpressions'], PASSES['dead-code']])
    expect(types).toEqual(['LeakyRelu', 'Exp', 'LeakyRelu', 'Exp', 'Sum', 'Neg', 'Neg'])
    const quantized = modelOf((b, x) => {
      const scale = b.constant('s', Tensor.float32([], [0.1]))
      return b.op('Add', [b.op('QuantizeLinear', [x, scale]), b.op('QuantizeLinear', [x, scale])])
    })
    const random = modelOf((b, x) => b.op('Sum', [x, ...[0, 1].map(() => b.op('RandomNormalLike', [x]))]))
    for (const m of [quantized, random]) expect((await run(m, [PASSES['common-subexpressions']])).types).toHaveLength(3)
  })

  it('stores equal initializers once, and splits shared weights again', async () => {
    const model = modelOf((b, x) =>
      b.op('MatMul', [b.op('MatMul', [b.op('MatMul', [x, weight(b, 'a')]), weight(b, 'b')]), weight(b, 'c', 2)]),
    )
    await run(model, [PASSES['deduplicate-initializers']])
    expect(names(model)).toEqual(['a', 'c'])
    const { modified } = await run(model, [PASSES['split-shared-weights']])
    expect(modified).toBe(true)
    expect(names(model)).toEqual(['a', 'c', 'a_1'])
    for (const value of model.graph.initializers) expect(value.useCount).toBe(1)
  })

  it('tells equal bytes of different types and shapes apart', async () => {
    const model = modelOf((b, x) => {
      const wide = b.constant('wide', Tensor.float32([2], [0, 0]))
      const tall = b.constant('tall', Tensor.float32([2, 1], [0, 0]))
      const whole = b.constant('whole', Tensor.fromStorage('int32', [2], Int32Array.of(0, 0)))
      return [b.op('Expand', [wide, b.op('Shape', [x])]), b.op('Identity', [tall]), b.op('Identity', [whole])]
    })
    expect((await run(model, [PASSES['deduplicate-initializers']])).trace).toEqual([])
  })
})

describe('constants', () => {
  it('turns every kind of Constant into an initializer, unless it is an output', async () => {
    const model = modelOf((b, x) => [
      b.op('Add', [x, b.op('Constant', [], { value_float: attribute.float(2) }, { output: 'two' })]),
      b.op('Reshape', [x, b.op('Constant', [], { value_ints: ints([-1, 2]) }, { output: 'shape' })]),
      b.op('Constant', [], { value: attribute.tensor(Tensor.float32([1], [5])) }),
    ])
    expect((await run(model, [PASSES['constant-to-initializer']])).types).toEqual(['Add', 'Reshape', 'Constant'])
    const [two, shape] = model.graph.initializers
    expect([two?.name, two?.constant?.dims, two?.constant?.numbers()[0]]).toEqual(['two', [], 2])
    expect([shape?.name, shape?.constant?.dims, shape?.constant?.integers()]).toEqual(['shape', [2], [-1, 2]])
  })

  it('frees constants of old files from the inputs, and leaves defaults of new ones', async () => {
    const listed = () => {
      const model = modelOf((b, x) => b.op('MatMul', [x, weight(b, 'w')]))
      model.graph.inputs.push(...model.graph.initializers)
      return model
    }
    const [old, current] = [listed(), listed()]
    old.irVersion = 3
    expect((await run(old, [PASSES['freeze-inputs']])).modified).toBe(true)
    expect(old.graph.inputs.map((v) => v.name)).toEqual(['x'])
    expect((await run(current, [PASSES['freeze-inputs']])).trace[0]?.text).toMatch(/may override/)
    expect(current.graph.inputs).toHaveLength(2)
  })

  it('raises old files to the version in which initializers need not be inputs', async () => {
    const model = modelOf((b, x) => b.op('Relu', [x]))
    model.irVersion = 3
    expect((await run(model, [PASSES['freeze-inputs']])).converged).toBe(true)
    expect(model.irVersion).toBe(4)
  })

  it('computes known shape arithmetic, and keeps a dynamic batch in Reshape', async () => {
    const model = modelOf((b, x) => {
      const n = b.op('Gather', [b.op('Shape', [x]), b.constant('i', Tensor.int64([1], [0]))])
      const c = b.op('Gather', [b.op('Shape', [x]), b.constant('j', Tensor.int64([1], [1]))])
      const two = b.constant('two', Tensor.int64([1], [2]))
      return b.op('Reshape', [x, b.op('Concat', [n, two, b.op('Div', [c, two])], { axis: int(0) })])
    })
    const { types } = await run(model, [PASSES['simplify-shapes'], PASSES['dead-code']])
    expect(types).toEqual(['Reshape'])
    expect(model.graph.nodes.first?.inputs[1]?.constant?.integers()).toEqual([0, 2, 2])
  })
})

describe('fold-constants', () => {
  const evaluate = vi.fn((m: Model) => runModel(engine, m))
  const fold = (model: Model, options = {}) => {
    evaluate.mockClear()
    return run(model, [foldConstants(options)], { evaluate })
  }

  it('evaluates everything in one call, to the numbers that the formula gives', async () => {
    const model = modelOf((b, x) => {
      const k = (v: number) => b.constant(`k${v}`, Tensor.float32([1], [v]))
      const left = b.op('Exp', [b.op('Neg', [k(2)])])
      return [b.op('Mul', [x, left]), b.op('Add', [x, b.op('Add', [k(3), k(4)])])]
    })
    expect((await fold(model)).types).toEqual(['Mul', 'Add'])
    expect(evaluate).toHaveBeenCalledTimes(1)
    const folded = [...model.graph.nodes].map((n) => n.inputs[1]?.constant?.numbers()[0])
    // exp(−2) in float32 is within one unit in the last place of the true value.
    expect(folded[0]).toBeCloseTo(Math.exp(-2), 7)
    expect(folded[1]).toBe(7)
  })

  it('never folds a quantizer or across one', async () => {
    const model = modelOf((b, x) => {
      const scale = b.constant('s', Tensor.float32([], [0.1]))
      const q = b.op('QuantizeLinear', [b.op('Transpose', [weight(b, 'w')]), scale])
      return b.op('MatMul', [x, b.op('Transpose', [b.op('DequantizeLinear', [q, scale])])])
    })
    const { types } = await fold(model)
    expect(types).toEqual(['QuantizeLinear', 'DequantizeLinear', 'Transpose', 'MatMul'])
  })

  it('leaves random numbers, graph outputs and unknown operators', async () => {
    const model = modelOf((b, x) => {
      const w = weight(b, 'w')
      const random = b.op('RandomNormalLike', [w])
      const unknown = b.op('Mystery', [w], {}, { domain: 'com.example' })
      return [b.op('Sum', [x, random, unknown]), b.op('Exp', [w])]
    })
    expect((await fold(model)).types).toHaveLength(4)
    expect(evaluate).not.toHaveBeenCalled()
  })

  it('does not blow up the file, but folds what the large result is made of', async () => {
    const model = modelOf((b, x) => {
      const sides = b.op('Add', [
        b.constant('a', Tensor.int64([2], [4, 3])),
        b.constant('b', Tensor.int64([2], [0, 1])),
      ])
      return b.op('MatMul', [x, b.op('Expand', [b.constant('one', Tensor.float32([], [1])), sides])])
    })
    const { types, trace } = await fold(model, { smallBytes: 32 })
    expect(types).toEqual(['Expand', 'MatMul'])
    expect(trace.find((e) => e.kind === 'declined')?.text).toMatch(/takes 64 bytes/)
  })

  it('folds inside branches', async () => {
    const model = modelOf((b, x) => {
      const flag = b.op('Cast', [b.op('ReduceSum', [x], { keepdims: int(0) })], { to: int(9) })
      const w = weight(b, 'w')
      const branch = (op: string) => {
        const inner = new Builder(new Graph(op))
        inner.output(inner.op('MatMul', [x, inner.op(op, [w])], {}, { name: `${op}_product` }))
        return graphAttribute(inner.graph)
      }
      return b.op('If', [flag], { then_branch: branch('Exp'), else_branch: branch('Neg') })
    })
    const before = await runModel(engine, model, { x: Tensor.float32([1, 4], [1, 2, 3, 4]) })
    await fold(model)
    const branches = model.graph.nodes.last?.subgraphs().map((g) => [...g.nodes].map((n) => n.opType))
    expect(branches).toEqual([['MatMul'], ['MatMul']])
    const after = await runModel(engine, model, { x: Tensor.float32([1, 4], [1, 2, 3, 4]) })
    expect(Object.values(after)[0]?.numbers()).toEqual(Object.values(before)[0]?.numbers())
  })

  it('warns and goes on where the engine refuses', async () => {
    const model = modelOf((b, x) => b.op('MatMul', [x, b.op('Exp', [weight(b, 'w')])]))
    const failing = { evaluate: () => Promise.reject(new Error('no kernel')) }
    const { modified, diagnostics } = await run(model, [foldConstants()], failing)
    expect([modified, diagnostics[0]?.code]).toEqual([true, 'FOLD_FAILED'])
    expect(model.graph.nodes.length).toBe(2)
  })
})

describe('checkStage', () => {
  const pair = (scale: number, tail: (b: GraphBuilder, q: Value, s: Value) => Value) =>
    modelOf((b, x) => {
      const s = b.constant('s', Tensor.float32([], [scale]))
      return tail(b, b.op('QuantizeLinear', [x, s]), s)
    })
  const codes = (model: Model, stage: 'float' | 'qdq') => checkStage(model, stage, defaultOps).map((d) => d.code)
  const dequantize = (b: GraphBuilder, q: Value, s: Value) => b.op('DequantizeLinear', [q, s])

  it('accepts what belongs to a stage', () => {
    expect(codes(randomCnn(1, ['convNorm', 'residual']), 'float')).toEqual([])
    expect(codes(pair(0.1, dequantize), 'qdq')).toEqual([])
  })

  it('names what does not', () => {
    expect(codes(pair(0.1, dequantize), 'float')).toEqual(['SPEC_QUANTIZED', 'SPEC_QUANTIZED'])
    expect(
      codes(
        pair(0.1, (_, q) => q),
        'qdq',
      ),
    ).toEqual(['SPEC_UNPAIRED'])
    expect(codes(pair(0, dequantize), 'qdq')).toEqual(['SPEC_SCALE', 'SPEC_SCALE'])
    const training = randomCnn(1, ['convNorm'])
    for (const n of training.graph.nodes)
      if (n.opType === 'BatchNormalization') n.attributes.set('training_mode', int(1))
    expect(codes(training, 'float')).toEqual(['SPEC_TRAINING'])
  })
})

describe('structuralHash', () => {
  it('sees weights, attributes, edges and names', () => {
    const base = () => randomCnn(5, ['conv', 'scale'])
    const edits: ((m: Model) => void)[] = [
      (m) => {
        const [w] = m.graph.initializers
        if (w?.constant)
          w.constant = Tensor.float32(
            w.constant.dims,
            w.constant.numbers().map((v) => -v),
          )
      },
      (m) => void m.graph.nodes.first?.attributes.set('pads', ints([0, 0, 0, 0])),
      (m) => m.graph.nodes.last?.setInput(1, m.graph.nodes.last?.inputs[0] ?? null),
      (m) => {
        for (const output of m.graph.outputs) output.name = 'z'
      },
    ]
    const original = structuralHash(base())
    expect(structuralHash(base())).toBe(original)
    for (const edit of edits) {
      const model = base()
      edit(model)
      expect(structuralHash(model)).not.toBe(original)
    }
  })
})
