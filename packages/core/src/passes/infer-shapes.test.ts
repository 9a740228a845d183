import { describe, expect, it } from 'vitest'
import {
  attribute,
  type FunctionDef,
  Graph,
  GraphBuilder,
  Model,
  Node,
  parseFunction,
  type Shape,
  Tensor,
  tensorType,
  Value,
} from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { Diagnostics } from '../util/index.ts'
import { inferShapes } from './infer-shapes.ts'

const { int, ints } = attribute

function setup(opset = 21) {
  const model = new Model()
  model.opsets.set('', opset)
  const b = new GraphBuilder(model.graph)
  const diagnostics = new Diagnostics()
  const infer = (trustDeclared = true) => inferShapes(model, { ops: defaultOps, diagnostics, trustDeclared })
  return { model, b, diagnostics, infer }
}

const shapeOf = (value: Value): Shape | undefined => (value.type?.kind === 'tensor' ? value.type.shape : undefined)
const vector = (...values: number[]): Tensor => Tensor.int64([values.length], values)

describe('inferShapes', () => {
  it('carries symbols through exported shape arithmetic', () => {
    const { b, infer } = setup()
    const x = b.input('x', tensorType('float32', ['N', 4, 6, 6]))
    const batch = b.op('Gather', [b.op('Shape', [x]), b.constant('zero', vector(0))])
    const target = b.op('Concat', [batch, b.constant('rest', vector(-1))], { axis: int(0) })
    const y = b.op('Reshape', [x, target])
    expect(infer()).toBe(true)
    expect(shapeOf(y)).toEqual(['N', 144])
    expect(infer()).toBe(false)
  })

  it('reverses a padding list that is built as a matrix', () => {
    const { b, infer } = setup()
    const x = b.input('x', tensorType('float32', ['N', 8, 5, 7]))
    const pairs = b.op('Reshape', [
      b.constant('pads', vector(1, 2, 3, 4, 0, 0, 0, 0)),
      b.constant('shape', vector(-1, 2)),
    ])
    const bounds = [vector(-1), vector(-(2 ** 40)), vector(0), vector(-1)].map((t, i) => b.constant(`bound${i}`, t))
    const rows = b.op('Transpose', [b.op('Slice', [pairs, ...bounds])])
    const y = b.op('Pad', [x, b.op('Reshape', [rows, b.constant('flat', vector(-1))])])
    infer()
    // PyTorch lists (begin, end) pairs from the last axis on: width 1+2, height 3+4.
    expect(shapeOf(y)).toEqual(['N', 8, 12, 10])
  })

  it('leaves unknown operators open and goes on behind them', () => {
    const { b, infer, diagnostics } = setup()
    const x = b.input('x', tensorType('float32', [2, 3]))
    const mystery = b.op('Mystery', [x], {}, { domain: 'com.example' })
    const y = b.op('MatMul', [mystery, b.constant('w', Tensor.float32([3, 4], new Float32Array(12)))])
    infer()
    expect(mystery.type).toBeUndefined()
    expect(y.type).toBeUndefined()
    expect(diagnostics.list).toEqual([])
    mystery.type = tensorType('float32', [2, 3])
    infer()
    expect(shapeOf(y)).toEqual([2, 4])
  })

  it('completes what it finds by what is declared, and warns where they contradict', () => {
    const { b, infer, diagnostics } = setup()
    const x = b.input('x', tensorType('float32', [null, 4]))
    const y = b.op('Relu', [x], {}, { types: [tensorType('float32', ['batch', 4])] })
    const z = b.op('Relu', [x], {}, { types: [tensorType('float32', [1, 5])] })
    infer()
    expect(shapeOf(y)).toEqual(['batch', 4])
    expect(shapeOf(z)).toEqual([1, 4])
    expect(diagnostics.list.map((d) => [d.code, d.level, d.at?.value])).toEqual([['SHAPE_DECLARED', 'warning', z.name]])
  })

  it('turns an impossible node into a warning', () => {
    const { b, infer, diagnostics } = setup()
    const x = b.input('x', tensorType('float32', [2, 3]))
    const y = b.op('Add', [x, b.input('z', tensorType('float32', [2, 4]))])
    infer()
    expect(y.type).toBeUndefined()
    expect(diagnostics.list.map((d) => [d.code, d.level])).toEqual([['SHAPE_MISMATCH', 'warning']])
  })

  it('treats listed initializers as constants before IR version 4, and as defaults after', () => {
    const { model, b, infer } = setup()
    const x = b.input('x', tensorType('float32', [2, 6]))
    const target = b.constant('target', vector(3, 4))
    model.graph.inputs.push(target)
    const y = b.op('Reshape', [x, target])
    infer()
    expect(shapeOf(y)).toEqual([null, null])
    model.irVersion = 3
    infer()
    expect(shapeOf(y)).toEqual([3, 4])
  })
})

describe('inferShapes in nested graphs', () => {
  function branch(name: string, x: Value, axis: number): Graph {
    const graph = new Graph(name)
    const b = new GraphBuilder(graph)
    graph.outputs.push(b.op('Softmax', [b.op('Flatten', [x], { axis: int(axis) })]))
    return graph
  }

  it('sees outer values and writes inner types', () => {
    const { b, infer } = setup()
    const x = b.input('x', tensorType('float32', ['N', 2, 3]))
    const condition = b.input('c', tensorType('bool', []))
    const [then, otherwise] = [branch('then', x, 1), branch('else', x, 1)]
    const graphs = { then_branch: attribute.graph(then), else_branch: attribute.graph(otherwise) }
    const y = b.op('If', [condition], graphs)
    infer()
    expect(shapeOf(then.outputs[0] as Value)).toEqual(['N', 6])
    expect(shapeOf(y)).toEqual(['N', 6])
  })

  it('infers nested graphs of unknown operators too', () => {
    const { b, infer } = setup()
    const x = b.input('x', tensorType('float32', [4, 5]))
    const body = branch('body', x, 0)
    b.op('Repeat', [x], { body: attribute.graph(body) }, { domain: 'com.example' })
    infer()
    expect(shapeOf(body.outputs[0] as Value)).toEqual([1, 20])
  })
})

describe('inferShapes of functions', () => {
  function reduceFunction(opType: string): FunctionDef {
    const graph = new Graph('body')
    const data = new Value('data')
    graph.inputs.push(data)
    const node = graph.add(new Node({ opType, inputs: [data], outputs: [new Value('out')] }))
    node.attributes.set('axes', { kind: 'reference', value: 'which', type: 'ints' })
    graph.outputs.push(node.outputs[0] as Value)
    const attributeDefaults = new Map([['which', ints([0])]])
    const opsets = new Map([['', 13]])
    const head = { domain: 'local', name: 'Squash', overload: '', attributes: [], opaque: undefined }
    return { ...head, graph, attributeDefaults, opsets }
  }

  it('infers each call with its own inputs and attributes, under the function’s opset', () => {
    const { model, b, infer } = setup(21)
    model.functions.push(reduceFunction('ReduceMean'))
    const x = b.input('x', tensorType('float32', ['N', 3, 4]))
    const named = b.op('Squash', [x], { which: ints([1, 2]) }, { domain: 'local' })
    const plain = b.op('Squash', [x], {}, { domain: 'local' })
    infer()
    expect(shapeOf(named)).toEqual(['N', 1, 1])
    expect(shapeOf(plain)).toEqual([1, 3, 4])
  })

  it('reads lists that constants of a body take from the caller', () => {
    const { model, b, infer } = setup()
    const text = `function local::Rows <opset_import = ["": 21], attributes = [rows]> (x) => (y) {
      shape = Constant<value_ints = @INTS(rows)>() y = Reshape(x, shape) }`
    model.functions.push(parseFunction(text))
    const y = b.op('Rows', [b.input('x', tensorType('float32', [2, 6]))], { rows: ints([3, -1]) }, { domain: 'local' })
    infer()
    expect(shapeOf(y)).toEqual([3, 4])
  })

  it('stops at a function that calls itself', () => {
    const { model, b, infer, diagnostics } = setup()
    const recursive = reduceFunction('Squash')
    for (const node of recursive.graph.nodes) node.domain = 'local'
    model.functions.push(recursive)
    const y = b.op('Squash', [b.input('x', tensorType('float32', [2]))], {}, { domain: 'local' })
    infer()
    expect(y.type).toBeUndefined()
    expect(diagnostics.list.map((d) => d.code)).toEqual(['FUNCTION_RECURSION'])
  })
})
