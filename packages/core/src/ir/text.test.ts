import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as attribute from './attribute.ts'
import { Graph, Node, Value } from './graph.ts'
import { Model } from './model.ts'
import { parseGraph, parseModel } from './parse-text.ts'
import { readModel } from './serialize.ts'
import { Tensor } from './tensor.ts'
import { printModel, printNode } from './text.ts'
import { assertValid } from './verify.ts'

const RICH = `<ir_version = 9, opset_import = ["": 17, "custom": 2], metadata = ["k": "a \\"v\\""]>
"my graph" (float32[N,3,?] x, bool[] c, seq(float32[2]) s, map(int64, optional(float32)) m, float32[2] d = {1, 2}) => (float32[2] y, z)
<
  float32[2,2] w = {1, -0.5, 1e-7, inf},
  int64[1] huge = {9223372036854775807},
  string[2] t = {"a b", x"ff00"}
>
{
  [n1] float32[2] /h/Op_1, "" = custom::Op@v2<a = 1, b = 0.1, c = "text", d = [1, 2], e = floats [], f = float32[2] {3, 4}, g = type seq(int64[?]), h = -inf, i = ["p", "q"]>(x, "", w, huge, t, d)
  [n2] y = If<then_branch = graph then () => (r)
  {
    [n3] r = Neg("/h/Op_1")
  }>(c)
  [n4] z = "1x::2 y"(y)
}
function custom::Op@v2 <opset_import = ["": 17], attributes = [alpha], beta = 0.5> (a, b) => (q)
{
  [f1] q = LeakyRelu<alpha = @FLOAT(alpha)>(a)
}
`

describe('text form', () => {
  it('prints what it parses', () => {
    const model = parseModel(RICH)
    assertValid(model)
    const text = printModel(model)
    expect(text).toBe(RICH.replace('Neg("/h/Op_1")', 'Neg(/h/Op_1)'))
    expect(printModel(parseModel(text))).toBe(text)
  })

  it('gives attributes their exact kinds and values', () => {
    const [node] = [...parseModel(RICH).graph.nodes]
    expect([...(node?.attributes ?? [])].map(([name, a]) => `${name} ${a.kind}`).join()).toBe(
      'a int,b float,c string,d ints,e floats,f tensor,g type,h float,i strings',
    )
    expect(node?.attributes.get('b')?.value).toBe(Math.fround(0.1))
    expect(node?.attributes.get('d')?.value).toEqual([1n, 2n])
    expect(node).toMatchObject({ domain: 'custom', opType: 'Op', overload: 'v2' })
    expect(node?.outputs[1]).toBeNull()
  })

  it('accepts ONNX spellings, comments and missing names', () => {
    const graph = parseGraph('g (float[N] x) => (y) { // comment\n y = Relu(x) }')
    expect(graph.inputs[0]?.type).toEqual({ kind: 'tensor', dtype: 'float32', shape: ['N'] })
    expect(graph.nodes.first?.name).toBe('Relu')
  })

  it('shows large tensors by hash, which changes with the bytes', () => {
    const show = (fill: number) => {
      const node = new Node({ opType: 'Constant', outputs: [new Value('y')] })
      node.attributes.set('value', attribute.tensor(Tensor.float32([17], new Float32Array(17).fill(fill))))
      return printNode(node)
    }
    expect(show(1)).toMatch(/^y = Constant<value = float32\[17\] sha256:[\da-f]{8}>\(\)$/)
    expect(show(1)).not.toBe(show(2))
    expect(() => parseModel(`g () => (y) { ${show(1)} }`)).toThrow(/TEXT_NO_DATA/)
  })

  it.each([
    ['g (x) => (y) { y = Relu(z) }', /TEXT_NAME.*"z" is not defined/],
    ['g (x) => (y) { y = Relu(x) y = Relu(x) }', /TEXT_NAME.*"y" is defined twice/],
    ['g (x) => (y) {\n  y = Relu x }', /TEXT_SYNTAX.*"\(" is expected, found "x" at 2:12/],
    ['g (float32[2] x = {1}) => () { }', /another number of elements/],
    ['g (x) => () { } rest', /the end is expected/],
    ['g (x) => () { y = A<b = [1, 2.0]>(x) }', /one kind/],
  ])('refuses %s', (text, message) => {
    expect(() => parseModel(text)).toThrow(message)
  })

  it('is a fixed point for any names and floats', () => {
    const name = fc.string({ minLength: 1, unit: 'binary' })
    const real = fc.float()
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 3, maxLength: 3 }), real, fc.array(real), (names, f, data) => {
        const model = new Model(new Graph(names[0]))
        model.opsets.set('', 21)
        const x = new Value(names[0] as string)
        const y = new Value(names[1] as string)
        model.graph.inputs.push(x)
        model.graph.addInitializer(names[2] as string, Tensor.float32([data.length], data))
        const attributes = [[names[2] as string, attribute.float(f)]] as const
        model.graph.add(new Node({ opType: 'Relu', name: names[1] as string, inputs: [x], outputs: [y], attributes }))
        model.graph.outputs.push(y)
        const text = printModel(model, { inline: 1000 })
        const back = parseModel(text)
        expect(printModel(back, { inline: 1000 })).toBe(text)
        expect(back.graph.nodes.first?.attributes.get(names[2] as string)?.value).toBe(f)
        expect([...back.graph.initializers][0]?.constant?.numbers()).toEqual(Float32Array.from(data))
      }),
    )
  })
})

const models = `${process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))}/models`
const files = existsSync(models) ? readdirSync(models).filter((name) => name.endsWith('.onnx')) : []

describe.skipIf(files.length === 0)('text of real models (needs FEWBIT_DATA)', () => {
  it.each(['mnist_cnn.onnx', 'cifar_vit_ibp_3_3_8.onnx', 'llm_stories260k.onnx'])('%s parses back', (name) => {
    const inline = Number.MAX_SAFE_INTEGER
    const text = printModel(readModel(readFileSync(`${models}/${name}`)), { inline })
    expect(printModel(parseModel(text), { inline }) === text).toBe(true)
  })
})
