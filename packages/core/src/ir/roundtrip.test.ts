import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { create, equals, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType as AttributeType,
  type FunctionProto,
  type GraphProto,
  type GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from 'onnx-buf'
import { describe, expect, it } from 'vitest'
import { Diagnostics } from '../util/index.ts'
import { cloneModel } from './clone.ts'
import { modelFromOnnx } from './from-onnx.ts'
import { allGraphs } from './model.ts'
import { readModel, serializeModel } from './serialize.ts'
import { modelToOnnx } from './to-onnx.ts'
import { assertValid } from './verify.ts'

// The oracle is protobuf-es: it decodes the file, and what the IR writes, without any of our code in between.
const decode = (bytes: Uint8Array): ModelProto => fromBinary(ModelProtoSchema, bytes)

/** Documented normalisations of the IR: applied to both sides before they are compared. */
function normalForm(proto: ModelProto): ModelProto {
  const copy = decode(toBinary(ModelProtoSchema, proto))
  for (const text of ['producerName', 'producerVersion', 'domain', 'docString'] as const) dropEmpty(copy, text)
  if (copy.modelVersion === 0n) Reflect.deleteProperty(copy, 'modelVersion')
  for (const opset of copy.opsetImport) opset.domain = plain(opset.domain)
  if (copy.graph) normalGraph(copy.graph)
  for (const f of copy.functions) normalFunction(f)
  return copy
}

const plain = (domain: string) => (domain === 'ai.onnx' ? '' : domain)

function dropEmpty<K extends string>(message: { [P in K]: string }, field: K): void {
  if (message[field] === '') Reflect.deleteProperty(message, field)
}

function normalGraph(graph: GraphProto): void {
  dropEmpty(graph, 'docString')
  dropEmpty(graph, 'name')
  const listed = new Set([...graph.input, ...graph.output].map((info) => info.name))
  graph.valueInfo = byName(graph.valueInfo.filter((info) => !listed.has(info.name)))
  for (const info of [...graph.valueInfo, ...graph.input, ...graph.output]) dropEmpty(info, 'docString')
  graph.node.forEach(normalNode)
}

function normalFunction(f: FunctionProto): void {
  for (const text of ['docString', 'domain', 'overload'] as const) dropEmpty(f, text)
  for (const opset of f.opsetImport) opset.domain = plain(opset.domain)
  f.valueInfo = byName(f.valueInfo)
  f.node.forEach(normalNode)
}

/** Node names are compared apart: nodes without a unique name get one. */
function normalNode(node: NodeProto): void {
  Reflect.deleteProperty(node, 'name')
  if (plain(node.domain) === '') node.domain = ''
  for (const text of ['docString', 'domain', 'overload'] as const) dropEmpty(node, text)
  for (const attribute of node.attribute) {
    if (attribute.g) normalGraph(attribute.g)
    attribute.graphs.forEach(normalGraph)
  }
}

/** The first entry for a name counts. */
const byName = (infos: readonly ValueInfoProto[]): ValueInfoProto[] =>
  [...new Map(infos.toReversed().map((info) => [info.name, info])).values()].sort((a, b) => (a.name < b.name ? -1 : 1))

function expectSame(actual: ModelProto, original: ModelProto): void {
  const a = normalForm(actual)
  const b = normalForm(original)
  if (!equals(ModelProtoSchema, a, b)) expect(a).toEqual(b)
  expect(equals(ModelProtoSchema, a, b)).toBe(true)
}

function expectNamesKept(proto: ModelProto, result: ModelProto): void {
  const seen = new Set<string>()
  proto.graph?.node.forEach((node, i) => {
    if (node.name !== '' && !seen.has(node.name)) expect(result.graph?.node[i]?.name).toBe(node.name)
    seen.add(node.name)
  })
}

const dataFolder = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const models = `${dataFolder}/models`
const files = existsSync(models) ? readdirSync(models).filter((name) => name.endsWith('.onnx')) : []

describe.skipIf(files.length === 0)('real models (needs FEWBIT_DATA)', () => {
  it.each(files)('%s survives the IR and a clone', (name) => {
    const bytes = readFileSync(`${models}/${name}`)
    const original = decode(bytes)
    const diagnostics = new Diagnostics()
    const model = readModel(bytes, { diagnostics })
    assertValid(model)
    const copy = cloneModel(model)
    assertValid(copy)
    const result = decode(serializeModel(model))
    expectSame(result, original)
    expectNamesKept(original, result)
    expectSame(decode(serializeModel(copy)), original)
    for (const graph of allGraphs(model)) for (const value of graph.initializers) expect(value.constant).not.toBeNull()
  })
})

type Init = Parameters<typeof create<typeof ModelProtoSchema>>[1]
const modelProto = (init: Init): ModelProto => create(ModelProtoSchema, init)
const through = (proto: ModelProto) => modelToOnnx(modelFromOnnx(proto))
const bytes = (...values: number[]) => Uint8Array.from(values)
const unknown = [{ no: 999, wireType: 0, data: bytes(7) }]
const dimension = (text: string, denotation = '') => ({ value: { case: 'dimParam' as const, value: text }, denotation })
const tensorOf = (elemType: number, dim: ReturnType<typeof dimension>[] = []) => ({
  value: { case: 'tensorType' as const, value: { elemType, shape: { dim } } },
})

describe('everything a file can hold', () => {
  const rich = modelProto({
    irVersion: 10n,
    opsetImport: [
      { domain: '', version: 21n },
      { domain: 'custom', version: 2n },
    ],
    producerName: 'p',
    docString: 'about the model',
    metadataProps: [{ key: 'k', value: 'v' }],
    trainingInfo: [{ initializationBinding: [{ key: 'a', value: 'b' }], algorithm: { name: 'step' } }],
    configuration: [{ name: 'two', numDevices: 2 }],
    graph: {
      name: 'g',
      docString: 'about the graph',
      metadataProps: [{ key: 'gk', value: 'gv' }],
      input: [
        { name: 'x', type: { ...tensorOf(1, [dimension('N', 'DATA_BATCH')]), denotation: 'IMAGE' }, docString: 'in' },
        { name: 's', type: { value: { case: 'sequenceType', value: { elemType: tensorOf(7) } } } },
        { name: 'o', type: { value: { case: 'optionalType', value: { elemType: tensorOf(1) } } } },
        { name: 'm', type: { value: { case: 'mapType', value: { keyType: 8, valueType: tensorOf(1) } } } },
        { name: 'w', type: tensorOf(1) },
      ],
      output: [{ name: 'y', type: tensorOf(1) }],
      valueInfo: [
        { name: 'h', type: tensorOf(1, [dimension('N')]), metadataProps: [{ key: 'vk', value: 'vv' }] },
        { name: 'gone', type: tensorOf(1) },
      ],
      initializer: [
        { name: 'w', dataType: 1, dims: [2n], floatData: [1, 2], docString: 'weights' },
        { name: 'scale', dataType: 1, dims: [], rawData: bytes(0, 0, 128, 63) },
        { name: 'text', dataType: 8, dims: [1n], stringData: [bytes(255)] },
      ],
      sparseInitializer: [
        {
          values: { name: 'sp', dataType: 1, dims: [1n], floatData: [3] },
          indices: { dataType: 7, dims: [1n], int64Data: [2n] },
          dims: [4n],
        },
      ],
      quantizationAnnotation: [
        { tensorName: 'h', quantParameterTensorNames: [{ key: 'SCALE_TENSOR', value: 'scale' }] },
        { tensorName: 'nowhere', quantParameterTensorNames: [{ key: 'SCALE_TENSOR', value: 'scale' }] },
      ],
      node: [
        {
          opType: 'Op',
          domain: 'custom',
          overload: 'float',
          name: 'n1',
          docString: 'about the node',
          input: ['x', '', 'w', 'sp', 'text'],
          output: ['', 'h'],
          metadataProps: [{ key: 'nk', value: 'nv' }],
          deviceConfigurations: [{ configurationId: 'two', pipelineStage: 1 }],
          attribute: [
            { name: 'i', type: AttributeType.INT, i: 9223372036854775807n, docString: 'largest' },
            { name: 'f', type: AttributeType.FLOAT, f: Number.NEGATIVE_INFINITY },
            { name: 's', type: AttributeType.STRING, s: bytes(0, 255) },
            { name: 'e', type: AttributeType.INTS },
            {
              name: 't',
              type: AttributeType.TENSOR,
              t: { name: 'inner', dataType: 22, dims: [3n], rawData: bytes(0x21, 0x3) },
            },
            { name: 'sp', type: AttributeType.SPARSE_TENSOR, sparseTensor: { dims: [2n] } },
            { name: 'ty', type: AttributeType.TYPE_PROTO, tp: tensorOf(1) },
          ],
        },
        { opType: 'Relu', name: 'n2', input: ['h'], output: ['y'] },
      ],
    },
    functions: [
      {
        name: 'Op',
        domain: 'custom',
        overload: 'float',
        docString: 'about the function',
        input: ['a', 'b'],
        output: ['c', 'd'],
        attribute: ['alpha'],
        attributeProto: [{ name: 'beta', type: AttributeType.FLOAT, f: 0.5 }],
        opsetImport: [{ domain: '', version: 21n }],
        valueInfo: [{ name: 'c', type: tensorOf(1) }],
        node: [
          {
            opType: 'LeakyRelu',
            name: 'f1',
            input: ['a'],
            output: ['c'],
            attribute: [{ name: 'alpha', type: AttributeType.FLOAT, refAttrName: 'alpha' }],
          },
          { opType: 'Neg', name: 'f2', input: ['c'], output: ['d'] },
        ],
      },
    ],
  })

  // `create` does not take unknown fields, so they are put in afterwards.
  const graph = rich.graph as GraphProto
  for (const holder of [rich, graph, graph.input[4], graph.initializer[0], graph.node[0], rich.functions[0]]) {
    Object.assign(holder as object, { $unknown: unknown })
  }

  it('survives the IR', () => {
    assertValid(modelFromOnnx(rich))
    expectSame(through(rich), rich)
    expectSame(modelToOnnx(cloneModel(modelFromOnnx(rich))), rich)
  })

  it('reads sparse initializers as dense constants', () => {
    const model = modelFromOnnx(rich)
    const sparse = [...model.graph.initializers].find((value) => value.name === 'sp')
    expect([...(sparse?.constant?.numbers() ?? [])]).toEqual([0, 0, 3, 0])
  })

  it('writes renamed values consistently', () => {
    const model = modelFromOnnx(rich)
    for (const value of model.graph.initializers) value.name += '_new'
    const result = modelToOnnx(model).graph
    expect(result?.node[0]?.input).toEqual(['x', '', 'w_new', 'sp_new', 'text_new'])
    expect(result?.initializer.map((t) => t.name)).toEqual(['w_new', 'scale_new', 'text_new'])
    expect(result?.initializer[0]).toMatchObject({ docString: 'weights' })
    expect(result?.sparseInitializer[0]?.values?.name).toBe('sp_new')
    expect(result?.quantizationAnnotation[0]?.quantParameterTensorNames[0]?.value).toBe('scale_new')
    expect(modelFromOnnx(decode(serializeModel(model))).graph.initializers.size).toBe(4)
  })
})

const branch = (name: string, init: MessageInitShape<typeof GraphProtoSchema>) => ({
  name,
  type: AttributeType.GRAPH,
  g: { name, ...init },
})
const neg = (input: string, output: string, name = '') => ({ opType: 'Neg', name, input: [input], output: [output] })

describe('nested graphs', () => {
  const proto = modelProto({
    irVersion: 10n,
    graph: {
      name: 'g',
      input: [{ name: 'c' }, { name: 'x' }],
      output: [{ name: 'y' }],
      node: [
        neg('x', 'h', 'neg'),
        {
          opType: 'If',
          input: ['c'],
          output: ['y'],
          attribute: [
            branch('then_branch', { node: [neg('h', 'r', 'neg')], output: [{ name: 'r' }] }),
            branch('else_branch', { node: [neg('x', 'r')], output: [{ name: 'r' }] }),
            branch('other', { output: [{ name: 'h' }] }),
          ],
        },
      ],
    },
  })

  it('refer to outer values by object, with unique names and Identity where an outer value is returned', () => {
    const model = modelFromOnnx(proto)
    assertValid(model)
    const [outer, choice] = [...model.graph.nodes]
    const [then, otherwise, third] = choice?.subgraphs() ?? []
    expect(then?.nodes.first?.inputs[0]).toBe(outer?.outputs[0])
    expect(otherwise?.nodes.first?.inputs[0]).toBe(model.graph.inputs[1])
    expect([then?.outputs[0]?.name, otherwise?.outputs[0]?.name]).toEqual(['r', 'r_1'])
    expect(third?.nodes.first).toMatchObject({ opType: 'Identity', inputs: [outer?.outputs[0]] })
    expect([outer?.name, choice?.name, then?.nodes.first?.name]).toEqual(['neg', 'If', 'neg_1'])
  })

  it('hide outer names without changing meaning', () => {
    const shadowed = modelProto({
      graph: {
        input: [{ name: 'x' }],
        output: [{ name: 'y' }],
        node: [
          {
            opType: 'If',
            input: ['x'],
            output: ['y'],
            attribute: [
              branch('then_branch', {
                initializer: [{ name: 'x', dataType: 1, dims: [], floatData: [5] }],
                node: [neg('x', 'r')],
                output: [{ name: 'r' }],
              }),
            ],
          },
        ],
      },
    })
    const model = modelFromOnnx(shadowed)
    assertValid(model)
    const inner = model.graph.nodes.first?.subgraphs()[0]
    expect(inner?.nodes.first?.inputs[0]?.constant?.numbers()).toEqual(Float32Array.of(5))
  })
})

describe('files that are not sound', () => {
  const graph = (node: Partial<NodeProto>[], rest: Partial<GraphProto> = {}) =>
    modelProto({ graph: { input: [{ name: 'x' }], output: [{ name: 'y' }], node, ...rest } as GraphProto })

  it('sorts nodes and says so', () => {
    const diagnostics = new Diagnostics()
    const model = modelFromOnnx(graph([neg('b', 'y'), neg('a', 'b'), neg('x', 'a')]), { diagnostics })
    assertValid(model)
    expect([...model.graph.nodes].map((n) => n.outputs[0]?.name)).toEqual(['a', 'b', 'y'])
    expect(diagnostics.list.map((d) => d.code)).toEqual(['ONNX_UNSORTED'])
  })

  it.each([
    ['a cycle', graph([neg('b', 'a'), neg('a', 'b'), neg('x', 'y')]), 'ONNX_CYCLE'],
    ['a node that reads itself', graph([neg('y', 'y')]), 'ONNX_CYCLE'],
    ['an unknown input', graph([neg('ghost', 'y')]), 'ONNX_DANGLING_NAME'],
    ['an unknown output', graph([neg('x', 'z')]), 'ONNX_DANGLING_NAME'],
    ['two producers', graph([neg('x', 'y'), neg('x', 'y')]), 'ONNX_DUPLICATE_NAME'],
    ['an output over an input', graph([neg('x', 'x')]), 'ONNX_DUPLICATE_NAME'],
    ['a nameless input', graph([], { input: [{ name: '' }] } as unknown as GraphProto), 'ONNX_NO_NAME'],
    ['no graph', modelProto({}), 'ONNX_NO_GRAPH'],
  ])('refuses %s', (_, proto, code) => {
    expect(() => modelFromOnnx(proto)).toThrow(expect.objectContaining({ code }))
  })
})
