import { DTYPES, type DType, dtypeInfo, encodeUtf8 } from '../util/index.ts'
import type { Attribute } from './attribute.ts'
import { Graph, Node, Value } from './graph.ts'
import { type FunctionDef, Model } from './model.ts'
import { NamePool, nameNodes, uniquifyValues } from './names.ts'
import { Tensor } from './tensor.ts'
import { TextLexer } from './text-lexer.ts'
import { type Dim, isStatic, type Shape, tensorType, type ValueType } from './types.ts'

/**
 * A model from its text form (the grammar stands in `text.ts`). Without a header: IR version 10, opset 21. Nodes without a
 * name get one, as on loading.
 * @throws FewbitError TEXT_SYNTAX with line and column, TEXT_NAME for unknown or repeated names, TEXT_NO_DATA for a tensor
 * of which the text has only the hash.
 */
export function parseModel(text: string): Model {
  const parser = new TextParser(text)
  const header = parser.header()
  const model = new Model(parser.graph(null))
  for (const [key, value] of header) parser.setHeader(model, key, value)
  if (model.opsets.size === 0) model.opsets.set('', 21)
  while (parser.lexer.take('function')) model.functions.push(parser.function())
  if (parser.lexer.token.kind !== 'end') throw parser.lexer.fail('the end is expected')
  const pool = new NamePool()
  for (const graph of [model.graph, ...model.functions.map((f) => f.graph)]) {
    nameNodes(graph, pool)
    uniquifyValues(graph)
  }
  return model
}

/**
 * One function of the text form: `function domain::Name <opset_import = ["": 21], attributes = [a]> (x) => (y) { … }`.
 * @throws FewbitError TEXT_SYNTAX, TEXT_NAME, TEXT_NO_DATA
 */
export function parseFunction(text: string): FunctionDef {
  const parser = new TextParser(text)
  parser.lexer.expect('function')
  const found = parser.function()
  if (parser.lexer.token.kind !== 'end') throw parser.lexer.fail('the end is expected')
  return found
}

/** The main graph of `parseModel`. */
export const parseGraph = (text: string): Graph => parseModel(text).graph

type HeaderValue = number | ReadonlyMap<string, string | number>

/** ONNX's own names of element types, where they differ. */
const ALIASES: ReadonlyMap<string, DType> = new Map([
  ['float', 'float32'],
  ['double', 'float64'],
])

const dtypeNamed = (name: string): DType | undefined =>
  ALIASES.get(name) ?? (Object.hasOwn(DTYPES, name) ? (name as DType) : undefined)

class Scope {
  readonly #own = new Map<string, Value>()
  readonly #parent: Scope | null

  constructor(parent: Scope | null) {
    this.#parent = parent
  }

  find(name: string): Value | undefined {
    return this.#own.get(name) ?? this.#parent?.find(name)
  }

  define(value: Value, lexer: TextLexer): Value {
    if (this.#own.has(value.name)) throw lexer.fail(`"${value.name}" is defined twice`, 'TEXT_NAME')
    this.#own.set(value.name, value)
    return value
  }
}

class TextParser {
  readonly lexer: TextLexer

  constructor(text: string) {
    this.lexer = new TextLexer(text)
  }

  header(): [string, HeaderValue][] {
    if (!this.lexer.at('<')) return []
    return this.lexer.list('<', '>', () => {
      const key = this.lexer.name()
      this.lexer.expect('=')
      return [key, this.lexer.at('[') ? this.#table() : Number(this.lexer.next().text)]
    })
  }

  setHeader(model: Model, key: string, value: HeaderValue): void {
    if (key === 'ir_version') model.irVersion = Number(value)
    else if (key === 'opset_import') fillOpsets(model.opsets, value)
    else if (key !== 'metadata') throw this.lexer.fail(`"${key}" is no header field`)
    else for (const [k, v] of value as ReadonlyMap<string, string>) model.metadata.set(k, v)
  }

  graph(outer: Scope | null): Graph {
    const graph = new Graph(this.lexer.name())
    const scope = new Scope(outer)
    graph.inputs.push(...this.lexer.list('(', ')', () => this.#declared(graph, scope)))
    this.lexer.expect('=>')
    const outputs = this.lexer.list('(', ')', () => this.#value())
    if (this.lexer.at('<')) this.lexer.list('<', '>', () => this.#declared(graph, scope))
    this.#body(graph, scope)
    for (const { name, type } of outputs) {
      const value = this.#find(name, scope)
      value.type = type ?? value.type
      graph.outputs.push(value)
    }
    return graph
  }

  function(): FunctionDef {
    const { domain, type: name } = splitType(this.lexer.name())
    const overload = this.#overload()
    const header = this.#attributes(new Scope(null), true)
    const graph = new Graph(name)
    const scope = new Scope(null)
    graph.inputs.push(...this.lexer.list('(', ')', () => this.#declared(graph, scope)))
    this.lexer.expect('=>')
    const outputs = this.lexer.list('(', ')', () => this.lexer.name())
    this.#body(graph, scope)
    graph.outputs.push(...outputs.map((output) => this.#find(output, scope)))
    const { attributeDefaults, opsets, names } = header
    return { domain, name, overload, graph, attributes: names, attributeDefaults, opsets, opaque: undefined }
  }

  #body(graph: Graph, scope: Scope): void {
    this.lexer.expect('{')
    while (!this.lexer.take('}')) graph.add(this.#node(scope))
  }

  #node(scope: Scope): Node {
    const name = this.lexer.at('[') ? this.lexer.list('[', ']', () => this.lexer.name()).join() : ''
    const outputs = this.lexer.at('=') ? [] : [this.#value()]
    while (this.lexer.take(',')) outputs.push(this.#value())
    this.lexer.expect('=')
    const { domain, type } = splitType(this.lexer.name())
    const overload = this.#overload()
    const attributes = this.#attributes(scope).attributeDefaults
    const inputs = this.lexer.list('(', ')', () => this.lexer.name())
    return new Node({
      opType: type,
      domain,
      name,
      overload,
      attributes,
      inputs: inputs.map((input) => (input === '' ? null : this.#find(input, scope))),
      outputs: outputs.map((value) => (value.name === '' ? null : scope.define(value, this.lexer))),
    })
  }

  #overload(): string {
    return this.lexer.take('@') ? this.lexer.name() : ''
  }

  #find(name: string, scope: Scope): Value {
    const value = scope.find(name)
    if (!value) throw this.lexer.fail(`"${name}" is not defined before`, 'TEXT_NAME')
    return value
  }

  /** `[type] name`: a bare type word is a type unless no name follows it. */
  #value(): Value {
    const type = this.#isType() ? this.#type() : undefined
    return new Value(this.lexer.name(), type)
  }

  #declared(graph: Graph, scope: Scope): Value {
    const value = scope.define(this.#value(), this.lexer)
    if (!this.lexer.take('=')) return value
    value.constant = this.#data(value.type)
    graph.initializers.add(value)
    return value
  }

  #isType(): boolean {
    const { kind, text } = this.lexer.token
    return kind === 'name' && (dtypeNamed(text) !== undefined || ['seq', 'optional', 'map', 'sparse'].includes(text))
  }

  #type(): ValueType | undefined {
    if (this.lexer.take('?')) return undefined
    const word = this.lexer.next().text
    const dtype = dtypeNamed(word)
    if (dtype) return tensorType(dtype, this.lexer.at('[') ? this.#shape() : undefined)
    this.lexer.expect('(')
    const type = this.#container(word)
    this.lexer.expect(')')
    return type
  }

  #container(word: string): ValueType {
    if (word === 'seq') return { kind: 'sequence', element: this.#type() }
    if (word === 'optional') return { kind: 'optional', element: this.#type() }
    if (word === 'map') {
      const key = dtypeNamed(this.lexer.name())
      this.lexer.expect(',')
      if (key) return { kind: 'map', key, value: this.#type() }
    }
    const inner = word === 'sparse' ? this.#type() : undefined
    if (inner?.kind === 'tensor') return { ...inner, kind: 'sparse-tensor' }
    throw this.lexer.fail(`"${word}" is no type`)
  }

  #shape(): Shape {
    return this.lexer.list('[', ']', (): Dim => {
      if (this.lexer.take('?')) return null
      return this.lexer.token.kind === 'number' ? Number(this.lexer.next().text) : this.lexer.name()
    })
  }

  #data(type: ValueType | undefined): Tensor {
    if (type?.kind !== 'tensor' || !isStatic(type.shape)) throw this.lexer.fail('data need a tensor type with sizes')
    if (!this.lexer.at('{')) throw this.lexer.fail('the elements are needed, not their hash', 'TEXT_NO_DATA')
    const { dtype, shape } = type
    if (dtype === 'string')
      return Tensor.strings(
        shape,
        this.lexer.list('{', '}', () => this.#bytes()),
      )
    const elements = this.lexer.list('{', '}', () => this.lexer.next().text)
    if (elements.length !== shape.reduce((n, d) => n * d, 1))
      throw this.lexer.fail('the shape asks for another number of elements')
    if (dtype === 'int64') return Tensor.int64(shape, elements.map(BigInt))
    if (dtype === 'uint64') return Tensor.fromStorage(dtype, shape, BigUint64Array.from(elements, BigInt))
    if (dtype === 'float32') return Tensor.float32(shape, elements.map(toNumber))
    if (dtypeInfo(dtype).kind === 'complex') throw this.lexer.fail('complex tensors have no text form', 'TEXT_NO_DATA')
    return Tensor.fromNumbers(dtype, shape, elements.map(toNumber))
  }

  #bytes(): Uint8Array {
    const { kind, text } = this.lexer.next()
    return kind === 'bytes'
      ? Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
      : encodeUtf8(text)
  }

  #table(): Map<string, string | number> {
    const pairs = this.lexer.list('[', ']', () => {
      const key = this.lexer.name()
      this.lexer.expect(':')
      const { kind, text } = this.lexer.next()
      return [key, kind === 'number' ? Number(text) : text] as const
    })
    return new Map(pairs)
  }

  /** `<name = value, …>`; a function's head also lists opsets and attribute names. */
  #attributes(scope: Scope, head = false) {
    const found = {
      attributeDefaults: new Map<string, Attribute>(),
      opsets: new Map<string, number>(),
      names: [] as string[],
    }
    if (!this.lexer.at('<')) return found
    this.lexer.list('<', '>', () => {
      const name = this.lexer.name()
      this.lexer.expect('=')
      if (head && name === 'opset_import') fillOpsets(found.opsets, this.#table())
      else if (head && name === 'attributes') found.names = this.lexer.list('[', ']', () => this.lexer.name())
      else found.attributeDefaults.set(name, this.#attribute(scope))
    })
    return found
  }

  #attribute(scope: Scope): Attribute {
    if (this.lexer.at('['))
      return listOf(
        this.lexer.list('[', ']', () => this.#attribute(scope)),
        this.lexer,
      )
    if (this.lexer.take('@')) {
      const type = this.lexer.name()
      return { kind: 'reference', value: this.lexer.list('(', ')', () => this.lexer.name()).join(), type }
    }
    if (this.lexer.token.kind === 'quoted' || this.lexer.token.kind === 'bytes') {
      return { kind: 'string', value: this.#bytes() }
    }
    if (this.#isType()) {
      const type = this.#type()
      return { kind: 'tensor', value: this.#data(type) }
    }
    return this.lexer.token.kind === 'number' ? numberAttribute(this.lexer.next().text) : this.#word(scope)
  }

  #word(scope: Scope): Attribute {
    const word = this.lexer.name()
    if (word === 'graph') return { kind: 'graph', value: this.graph(scope) }
    if (word === 'inf' || word === 'nan') return numberAttribute(word)
    if (word === 'type') {
      const type = this.#type()
      if (type) return { kind: 'type', value: type }
    }
    const kind = EMPTY_LISTS.find((k) => k === word)
    if (!kind) throw this.lexer.fail(`"${word}" is no attribute value`)
    this.lexer.list('[', ']', () => undefined)
    return { kind, value: [] }
  }
}

const EMPTY_LISTS = ['ints', 'floats', 'strings', 'tensors', 'graphs', 'types'] as const

const toNumber = (text: string): number => Number(text.replace('inf', 'Infinity'))

const numberAttribute = (text: string): Attribute =>
  /^-?\d+$/.test(text) ? { kind: 'int', value: BigInt(text) } : { kind: 'float', value: Math.fround(toNumber(text)) }

function listOf(items: readonly Attribute[], lexer: TextLexer): Attribute {
  const kind = items[0]?.kind
  const list = EMPTY_LISTS.find((k) => k === `${kind}s`)
  if (!list || items.some((item) => item.kind !== kind)) throw lexer.fail('a list holds values of one kind')
  return { kind: list, value: items.map((item) => item.value) } as Attribute
}

function splitType(text: string): { domain: string; type: string } {
  const at = text.lastIndexOf('::')
  return at < 0 ? { domain: '', type: text } : { domain: text.slice(0, at), type: text.slice(at + 2) }
}

function fillOpsets(opsets: Map<string, number>, value: HeaderValue): void {
  if (typeof value !== 'number') for (const [domain, version] of value) opsets.set(domain, Number(version))
}
