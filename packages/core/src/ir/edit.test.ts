import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { graph as graphAttribute } from './attribute.ts'
import { GraphBuilder } from './builder.ts'
import { Cloner, cloneModel } from './clone.ts'
import {
  insertOn,
  moveNode,
  needsIdentity,
  removeUnusedInitializers,
  replaceAllUses,
  replaceNode,
  safeRemove,
} from './edit.ts'
import { extract } from './extract.ts'
import { Graph, Node, Value } from './graph.ts'
import { graphValues, Model } from './model.ts'
import { UniqueNames, valuesByName } from './names.ts'
import { Tensor } from './tensor.ts'
import { isAvailableAt } from './traverse.ts'
import { tensorType } from './types.ts'
import { assertValid, verify } from './verify.ts'

const f32 = tensorType('float32', [2])

/** x → Relu → a → (Add with w) → y (output); If captures a in its branch. */
function sample() {
  const model = new Model(new Graph('main'))
  const b = new GraphBuilder(model.graph)
  const x = b.input('x', f32)
  const w = b.constant('w', Tensor.float32([2], [1, 2]))
  const a = b.op('Relu', [x], {}, { output: 'a', name: 'relu' })
  const y = b.output(b.op('Add', [a, w], {}, { output: 'y', name: 'add' }))
  const branch = new Graph('branch')
  const inner = new Value('inner')
  branch.add(new Node({ opType: 'Neg', name: 'neg', inputs: [a], outputs: [inner] }))
  branch.outputs.push(inner)
  const z = b.output(b.op('If', [x], { then_branch: graphAttribute(branch) }, { output: 'z', name: 'if' }))
  const node = (value: Value) => value.producer as Node
  return { model, x, w, a, y, z, inner, branch, relu: node(a), add: node(y), iff: node(z) }
}

const outputNames = (model: Model) => model.graph.outputs.map((value) => value.name)

describe('replaceAllUses', () => {
  it('redirects readers in nested graphs too', () => {
    const { model, x, a, add, inner } = sample()
    expect(replaceAllUses(a, x)).toBe(2)
    expect(add.inputs[0]).toBe(x)
    expect(inner.producer?.inputs[0]).toBe(x)
    expect(a.useCount).toBe(0)
    assertValid(model)
  })

  it('lets the replacement of a graph output take over its name', () => {
    const { model, a, y } = sample()
    expect(needsIdentity(y, a)).toBe(false)
    replaceAllUses(y, a)
    expect(model.graph.outputs[0]).toBe(a)
    expect([a.name, y.name]).toEqual(['y', 'a'])
    assertValid(model)
  })

  it('keeps the output name on an Identity where the replacement is part of the interface', () => {
    const { model, x, y } = sample()
    expect(needsIdentity(y, x)).toBe(true)
    replaceAllUses(y, x)
    expect(outputNames(model)).toEqual(['y', 'z'])
    expect(x.name).toBe('x')
    expect(model.graph.outputs[0]?.producer).toMatchObject({ opType: 'Identity', inputs: [x] })
    assertValid(model)
  })

  it('leaves excepted nodes alone and refuses values that come too late, touching nothing', () => {
    const { model, x, a, y, add } = sample()
    expect(() => replaceAllUses(a, y)).toThrow(/not available/)
    expect(add.inputs[0]).toBe(a)
    expect(replaceAllUses(a, x, { except: [add] })).toBe(1)
    expect(add.inputs[0]).toBe(a)
    assertValid(model)
  })

  it('refuses to read a nested value from outside', () => {
    const { model, a, inner } = sample()
    expect(() => replaceAllUses(a, inner)).toThrow(/not available/)
    assertValid(model)
  })
})

describe('insertOn', () => {
  it('puts a chain behind a value on the chosen edges only', () => {
    const { model, a, add, inner } = sample()
    const names = new UniqueNames(model.graph)
    const q = new Value(names.value('q'))
    const dq = new Value(names.value('dq'))
    const quantize = new Node({ opType: 'QuantizeLinear', name: names.node('q'), inputs: [a], outputs: [q] })
    const dequantize = new Node({ opType: 'DequantizeLinear', name: names.node('dq'), inputs: [q], outputs: [dq] })
    insertOn(a, [quantize, dequantize], { uses: a.uses().filter((use) => use.node === add) })
    expect(add.inputs[0]).toBe(dq)
    expect(inner.producer?.inputs[0]).toBe(a)
    expect([...model.graph.nodes].map((n) => n.name)).toEqual(['relu', 'q', 'dq', 'add', 'if'])
    assertValid(model)
  })

  it('goes before a graph output without changing its name', () => {
    const { model, y } = sample()
    const clip = new Node({ opType: 'Clip', name: 'clip', inputs: [y], outputs: [new Value('clipped')] })
    insertOn(y, [clip], { output: true })
    expect(outputNames(model)).toEqual(['y', 'z'])
    expect(model.graph.outputs[0]?.producer).toBe(clip)
    assertValid(model)
  })
})

describe('removal and replacement', () => {
  it('says who still reads a node', () => {
    const { model, relu, add } = sample()
    expect(safeRemove(relu)).toEqual({ removed: false, reason: '"a" is read by "add"' })
    expect(safeRemove(add)).toEqual({ removed: false, reason: '"y" is a graph output' })
    assertValid(model)
  })

  it('forgets captured values when the node that holds the nested graph goes', () => {
    const { model, a, z, iff } = sample()
    model.graph.outputs.splice(model.graph.outputs.indexOf(z), 1)
    expect(safeRemove(iff)).toEqual({ removed: true })
    expect(a.useCount).toBe(1)
    assertValid(model)
  })

  it('replaces a node by several and hands its output name on', () => {
    const { model, a, relu, x, add } = sample()
    const mid = new Value('mid')
    const end = new Value('end')
    const first = new Node({ opType: 'Abs', name: 'abs', inputs: [x], outputs: [mid] })
    const second = new Node({ opType: 'Sqrt', name: 'sqrt', inputs: [mid], outputs: [end] })
    replaceNode(relu, [first, second], [end])
    expect(add.inputs[0]).toBe(end)
    expect(end.name).toBe('a')
    expect(a.producer).toBe(relu)
    expect(relu.graph).toBeNull()
    assertValid(model)
  })

  it('refuses a replacement that leaves a read output open, touching nothing', () => {
    const { model, relu } = sample()
    expect(() => replaceNode(relu, [], [])).toThrow(/no replacement/)
    expect(relu.graph).toBe(model.graph)
    assertValid(model)
  })

  it('removes unread initializers in nested graphs too, but none that an annotation names', () => {
    const { model, branch, a } = sample()
    const scale = model.graph.addInitializer('scale', Tensor.float32([], [1]))
    a.quantization = [{ key: 'SCALE_TENSOR', parameter: scale }]
    branch.addInitializer('unused', Tensor.float32([], [1]))
    expect(removeUnusedInitializers(model).map((v) => v.name)).toEqual(['unused'])
  })

  it('moves a node out of a branch with its edges', () => {
    const { model, inner, iff, branch } = sample()
    const neg = inner.producer as Node
    branch.outputs.length = 0
    moveNode(neg, model.graph, { before: iff })
    expect(neg.graph).toBe(model.graph)
    assertValid(model)
  })
})

describe('clone and extract', () => {
  it('copies nested graphs with their captures and shares tensors', () => {
    const { model, a, w } = sample()
    const copy = cloneModel(model)
    assertValid(copy)
    const values = valuesByName(copy.graph)
    expect(values.get('a')).not.toBe(a)
    expect(values.get('a')?.useCount).toBe(2)
    expect(values.get('w')?.constant).toBe(w.constant)
    expect(a.useCount).toBe(2)
  })

  it('cuts out what computes an output, nested captures included', () => {
    const { model, a, z } = sample()
    const part = extract(model, [a, model.graph.inputs[0] as Value], [z])
    assertValid(part)
    expect(part.graph.inputs.map((v) => v.name)).toEqual(['a', 'x'])
    expect([...part.graph.nodes].map((n) => n.opType)).toEqual(['If'])
    expect(part.graph.initializers.size).toBe(0)
    assertValid(model)
  })

  it('names the inputs that are missing', () => {
    const { model, a, z } = sample()
    expect(() => extract(model, [a], [z])).toThrow(/EXTRACT_INPUT.*"x"/)
  })
})

type Step = readonly [kind: number, i: number, j: number]

/** Applies one random edit; edits that the library refuses must leave the model as it was. */
function apply(model: Model, [kind, i, j]: Step): void {
  const { graph } = model
  const values = [...graphValues(graph)]
  const nodes = [...graph.nodes]
  const value = values[i % values.length] as Value
  const other = values[j % values.length] as Value
  const node = nodes[i % nodes.length]
  const names = new UniqueNames(graph)
  const unary = (input: Value) =>
    new Node({ opType: 'Neg', name: names.node('n'), inputs: [input], outputs: [new Value(names.value('v'))] })
  const attempt = (legal: boolean, edit: () => void) => {
    const before = shape(model)
    try {
      edit()
    } catch (error) {
      expect(legal, String(error)).toBe(false)
      expect(shape(model)).toEqual(before)
      return
    }
  }
  const readable = (v: Value) => value.consumers().every((reader) => isAvailableAt(v, reader))
  if (kind === 0) attempt(readable(other), () => replaceAllUses(value, other, { graph }))
  if (kind === 1) insertOn(value, [unary(value)], { graph, output: graph.isOutput(value) && !graph.isInput(value) })
  if (kind === 2) {
    const created = unary(value)
    insertOn(value, [created], { graph, uses: value.uses().slice(j % 3) })
  }
  if (kind === 3 && node) {
    const before = shape(model)
    const result = safeRemove(node)
    const free = node.outputs.every((v) => !v || (v.useCount === 0 && !graph.isOutput(v)))
    expect(result.removed).toBe(free)
    if (!result.removed) expect(shape(model)).toEqual(before)
  }
  if (kind === 4 && node && node.subgraphs().length === 0) {
    const copy = new Cloner().node(node)
    for (const v of copy.outputs) if (v) v.name = names.value(v.name)
    copy.name = names.node(copy.name)
    replaceNode(node, [copy], copy.outputs)
  }
  if (kind === 5) removeUnusedInitializers(model)
}

const shape = (model: Model) => ({
  nodes: [...model.graph.nodes].map((n) => [n.name, n.inputs.map((v) => v?.name), n.outputs.map((v) => v?.name)]),
  outputs: outputNames(model),
  problems: verify(model),
})

describe('any sequence of edits', () => {
  const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(50), fc.nat(50)), { maxLength: 40 })

  it('leaves a valid graph with the same interface', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const { model } = sample()
        for (const step of sequence) {
          apply(model, step)
          expect(verify(model)).toEqual([])
          expect(outputNames(model)).toEqual(['y', 'z'])
          expect(model.graph.inputs.map((v) => v.name)).toEqual(['x'])
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('verify', () => {
  it.each([
    ['a stale output', (s: ReturnType<typeof sample>) => s.model.graph.outputs.push(new Value('ghost')), /not defined/],
    ['a late reader', (s: ReturnType<typeof sample>) => s.relu.setInput(0, s.y), /before it is computed/],
    ['a value out of scope', (s: ReturnType<typeof sample>) => s.add.setInput(0, s.inner), /not in scope/],
    [
      'equal names',
      (s: ReturnType<typeof sample>) => Object.assign(s.inner, { name: 'a' }),
      /two values are called "a"/,
    ],
    [
      'a reader in no graph',
      (s: ReturnType<typeof sample>) => new Node({ opType: 'Neg', inputs: [s.a] }),
      /in no graph/,
    ],
    [
      'a lost owner',
      (s: ReturnType<typeof sample>) => Object.assign(s.branch, { owner: null }),
      /does not know its node/,
    ],
  ])('finds %s', (_, damage, message) => {
    const s = sample()
    damage(s)
    expect(verify(s.model).join('\n')).toMatch(message)
  })
})
