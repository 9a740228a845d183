import { fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { asTensor, type Model, type Node, parseModel, Tensor } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { stretchesOf } from './cuts.ts'
import { type UnitSize, unitsOf } from './units.ts'

function parse(text: string): Model {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main ${text}`)
  for (const input of model.graph.inputs.slice(1)) {
    const dims = asTensor(input.type)?.shape as number[]
    input.constant = Tensor.float32(dims, new Float32Array(dims.reduce((n, d) => n * d, 1)))
  }
  return inferred(model)
}

function inferred(model: Model): Model {
  inferShapes(model, { ops: defaultOps })
  return model
}

const made = (nodes: Iterable<Node>): string => [...nodes].map((node) => node.outputs[0]?.name).join(' ')

const layersOf = (model: Model) =>
  new Set([...model.graph.nodes].filter((n) => ['Conv', 'Gemm', 'MatMul'].includes(n.opType)))

function cut(model: Model, granularity: UnitSize, depth = 6): string[] {
  return unitsOf(model, layersOf(model), { granularity, depth }).map(({ nodes, inputs, outputs }) => {
    return `${inputs.map((x) => x.name).join(' ')} → ${made(nodes)} → ${outputs.map((y) => y.name).join(' ')}`
  })
}

/** Two residual blocks, the second within a wider connection, between a first and a last layer. */
const nested = () =>
  parse(`(float32[N,4,6,6] x, float32[4,4,1,1] w, float32[4,3] wf) => (float32[N,3] y) {
    a = Conv(x, w) ar = Relu(a)
    b = Conv(ar, w) br = Relu(b) c = Conv(br, w) d = Add(c, ar) dr = Relu(d)
    e = Conv(dr, w) f = Conv(e, w) g = Add(f, e) h = Add(g, dr)
    p = GlobalAveragePool(h) q = Flatten(p) y = MatMul(q, wf)
  }`)

describe('unitsOf', () => {
  it('takes residual connections whole, and single layers with what follows them elsewhere', () => {
    expect(cut(nested(), 'block')).toEqual([
      'x → a ar → ar',
      'ar → b br c d dr → dr',
      'dr → e f g h p q → q',
      'q → y → y',
    ])
  })

  it('takes blocks that are too deep layer by layer, with what follows a layer alone', () => {
    expect(cut(nested(), 'block', 1)).toEqual([
      'x → a ar → ar',
      'ar → b br → br',
      'br → c → c',
      'dr → e → e',
      'e → f → f',
      'q → y → y',
    ])
    expect(cut(nested(), 'layer')).toEqual(cut(nested(), 'block', 1))
  })

  it('takes everything as one', () => {
    expect(cut(nested(), 'net')).toEqual(['x → a ar b br c d dr e f g h p q y → y'])
  })

  it('sees values that leave in between as further outputs', () => {
    const model = parse(`(float32[N,4,6,6] x, float32[4,4,1,1] w) => (float32[N,4,6,6] side, float32[N,4,6,6] y) {
      a = Conv(x, w) side = Conv(a, w) b = Relu(a) y = Conv(b, w) }`)
    expect(cut(model, 'block')).toEqual(['x → a → a', 'a → side b → side b', 'b → y → y'])
  })

  it.each(['squeeze-excite', 'attention', 'branches', 'upsampling'] as const)(
    'finds every layer of %s once, in order',
    (name) => {
      const model = inferred(fixture(name))
      for (const granularity of ['layer', 'block', 'net'] as const) {
        const units = unitsOf(model, layersOf(model), { granularity, depth: 6 })
        const found = units.flatMap(({ nodes }) => [...nodes].filter((node) => layersOf(model).has(node)))
        expect(made(found)).toBe(made(layersOf(model)))
        const known = new Set(model.graph.inputs.map((x) => x.name))
        for (const { inputs, nodes } of units) {
          const later = inputs.filter((x) =>
            units.some(
              (u) => u.nodes !== nodes && !known.has(x.name) && [...u.nodes].some((n) => n.outputs.includes(x)),
            ),
          )
          expect(later.map((x) => x.name)).toEqual([])
          for (const node of nodes) for (const y of node.outputs) if (y) known.add(y.name)
        }
      }
    },
  )
})

describe('stretchesOf', () => {
  it('ends a stretch where one value is all that is read later, however nodes are ordered', () => {
    const model = parse(`(float32[N,4] x, float32[4,4] w) => (float32[N,4] y) {
      a = MatMul(x, w) l = Relu(a) r = Neg(a) ll = Relu(l) rr = Relu(r) j = Add(ll, rr) y = Relu(j) }`)
    expect(stretchesOf(model.graph).map(made)).toEqual(['a', 'l r ll rr j', 'y'])
  })
})
