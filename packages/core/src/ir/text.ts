import { Digest, type DType, decodeUtf8, dtypeInfo } from '../util/index.ts'
import type { Attribute } from './attribute.ts'
import type { Graph, Node, Value } from './graph.ts'
import type { FunctionDef, Model } from './model.ts'
import type { Tensor } from './tensor.ts'
import { type Dim, tensorType, type ValueType } from './types.ts'

/*
 * The text form of a model, close to ONNX's own (onnx/docs/Syntax.md), for goldens, messages and tests:
 *
 *   <ir_version = 10, opset_import = ["": 21]>
 *   main (float32[N,3] x) => (float32[N,2] y)
 *   <
 *     float32[3,2] w = {1, 2, 3, 4, 5, 6},
 *     float32[64,3,7,7] big = sha256:1f0c72ab
 *   >
 *   {
 *     [mm] float32[N,2] h = MatMul(x, w)
 *     [clip] y = Clip<alpha = 0.5, axes = [0, 1], mode = "reflect">(h, "", w)
 *   }
 *   function custom::Op <opset_import = ["": 21], attributes = [alpha]> (a) => (b) { … }
 *
 * - A value is `[type] name`; the type is left out where it is unknown. `float32` has unknown rank, `float32[]` is a scalar,
 *   `?` an unknown dimension. Containers: `seq(T)`, `optional(T)`, `map(int64, T)`, `sparse(T)`.
 * - Names of letters, digits and `_ . / : -` stand bare, others in JSON quotes; `""` is an omitted input or output.
 * - `[name]` in front of a node is its name. A nested graph is an attribute: `then_branch = graph g () => (r) { … }`.
 * - Attributes: `1` int, `1.0` float, `"s"` string, `x"00ff"` bytes that are not UTF-8, `[…]` lists (`ints []` when
 *   empty), `float32[2] {1, 2}` tensor, `type float32[2]`, `@FLOAT(name)` reference to a function's attribute.
 * - Tensors of more than `inline` elements show a hash of their bytes and cannot be parsed back. Docs, properties and
 *   records that the IR does not read are not shown.
 */

export interface PrintOptions {
  /** Largest number of elements to write out. Default 16. */
  readonly inline?: number
  /** False leaves out the types of inner values. Default true. */
  readonly types?: boolean
}

export function printModel(model: Model, options: PrintOptions = {}): string {
  const printer = new Printer(options)
  const metadata = model.metadata.size > 0 ? `, metadata = ${table(model.metadata, quote)}` : ''
  const header = `<ir_version = ${model.irVersion}, opset_import = ${opsets(model.opsets)}${metadata}>`
  const parts = [header, printer.graph(model.graph, ''), ...model.functions.map((f) => printer.function(f))]
  return `${parts.join('\n')}\n`
}

export const printGraph = (graph: Graph, options: PrintOptions = {}): string =>
  `${new Printer(options).graph(graph, '')}\n`

/** One node on one line (more where it holds graphs), for messages. */
export const printNode = (node: Node, options: PrintOptions = {}): string => new Printer(options).node(node, '')

/** `float32[N,3,224,224]`, `seq(float32)`; `?` for an unknown type. */
export function printType(type: ValueType | undefined): string {
  switch (type?.kind) {
    case undefined:
      return '?'
    case 'tensor':
      return type.dtype + (type.shape ? `[${type.shape.map(printDim).join(',')}]` : '')
    case 'sparse-tensor':
      return `sparse(${printType({ ...type, kind: 'tensor' })})`
    case 'map':
      return `map(${type.key}, ${printType(type.value)})`
    case 'sequence':
      return `seq(${printType(type.element)})`
    case 'optional':
      return `optional(${printType(type.element)})`
  }
}

const printDim = (dim: Dim): string => (dim === null ? '?' : typeof dim === 'number' ? String(dim) : printName(dim))

const BARE = /^[A-Za-z_/][\w./:-]*$/
const RESERVED =
  /^(?:u?int\d+|b?float\w*|double|bool|string|complex\d+|seq|optional|map|sparse|graph|type|inf|nan|function|\/\/.*)$/

export const printName = (name: string): string => (BARE.test(name) && !RESERVED.test(name) ? name : quote(name))

const quote = (text: string): string => JSON.stringify(text)

const table = <T>(map: ReadonlyMap<string, T>, show: (value: T) => string): string =>
  `[${[...map].map(([key, value]) => `${quote(key)}: ${show(value)}`).join(', ')}]`

const opsets = (map: ReadonlyMap<string, number>): string => table(map, String)

/** Shortest decimal that gives the same 32-bit float; always recognizable as a float. */
function printFloat32(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf'
  let precision = 1
  while (precision < 9 && Math.fround(Number(value.toPrecision(precision))) !== Math.fround(value)) precision++
  const text = Object.is(value, -0) ? '-0' : String(Number(value.toPrecision(precision)))
  return /[.e]/.test(text) ? text : `${text}.0`
}

function printElements(tensor: Tensor): string[] {
  const { dtype } = tensor
  if (dtype === 'string') return tensor.stringBytes().map(printBytes)
  if (dtypeInfo(dtype).bits === 64 && dtypeInfo(dtype).kind === 'int') return Array.from(tensor.storage(), String)
  const show = (dtype as DType) === 'float32' ? (v: number) => printFloat32(v).replace(/\.0$/, '') : printNumber
  return Array.from(tensor.numbers(), show)
}

const printNumber = (value: number): string =>
  Object.is(value, -0) ? '-0' : String(value).replace('Infinity', 'inf').replace('NaN', 'nan')

/** Text in quotes, or `x"…"` in hexadecimal for bytes that are not UTF-8. */
function printBytes(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes)
  if (!text.includes('\ufffd')) return quote(text)
  return `x"${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}"`
}

class Printer {
  readonly #inline: number
  readonly #types: boolean

  constructor(options: PrintOptions) {
    this.#inline = options.inline ?? 16
    this.#types = options.types ?? true
  }

  graph(graph: Graph, indent: string): string {
    const inputs = graph.inputs.map((value) => this.#declared(value)).join(', ')
    const outputs = graph.outputs.map((value) => this.#typed(value)).join(', ')
    const initializers = [...graph.initializers].filter((value) => !graph.isInput(value))
    const lines = initializers.map((value) => `${indent}  ${this.#declared(value)}`)
    const constants = lines.length > 0 ? `\n${indent}<\n${lines.join(',\n')}\n${indent}>` : ''
    return `${printName(graph.name)} (${inputs}) => (${outputs})${constants}\n${this.#body(graph, indent)}`
  }

  function(def: FunctionDef): string {
    const names = (values: readonly Value[]) => values.map((value) => printName(value.name)).join(', ')
    const defaults = [...def.attributeDefaults].map(([name, a]) => `, ${printName(name)} = ${this.#attribute(a, '')}`)
    const attributes = `, attributes = [${def.attributes.map(printName).join(', ')}]${defaults.join('')}`
    const type = printName(def.domain === '' ? def.name : `${def.domain}::${def.name}`) + overloadOf(def)
    const header = `function ${type} <opset_import = ${opsets(def.opsets)}${attributes}>`
    return `${header} (${names(def.graph.inputs)}) => (${names(def.graph.outputs)})\n${this.#body(def.graph, '')}`
  }

  node(node: Node, indent: string): string {
    const name = node.name === '' ? '' : `[${printName(node.name)}] `
    const outputs = node.outputs.map((value) => (value ? this.#output(value, node) : '""')).join(', ')
    const inputs = node.inputs.map((value) => (value ? printName(value.name) : '""')).join(', ')
    const pairs = [...node.attributes].map(([key, a]) => `${printName(key)} = ${this.#attribute(a, `${indent}  `)}`)
    const attributes = pairs.length > 0 ? `<${pairs.join(', ')}>` : ''
    return `${name}${outputs} = ${printName(node.qualifiedType)}${overloadOf(node)}${attributes}(${inputs})`
  }

  #body(graph: Graph, indent: string): string {
    const lines = [...graph.nodes].map((node) => `${indent}  ${this.node(node, indent)}\n`)
    return `${indent}{\n${lines.join('')}${indent}}`
  }

  /** Types of outputs stand in the graph's head. */
  #output(value: Value, node: Node): string {
    const show = this.#types && !node.graph?.isOutput(value)
    return show ? this.#typed(value) : printName(value.name)
  }

  #typed(value: Value): string {
    return value.type ? `${printType(value.type)} ${printName(value.name)}` : printName(value.name)
  }

  #declared(value: Value): string {
    const { constant } = value
    if (!constant) return this.#typed(value)
    return `${printType(tensorType(constant.dtype, constant.dims))} ${printName(value.name)} = ${this.#data(constant)}`
  }

  #data(tensor: Tensor): string {
    const complex = dtypeInfo(tensor.dtype).kind === 'complex'
    if (tensor.size <= this.#inline && !complex) return `{${printElements(tensor).join(', ')}}`
    const parts = tensor.dtype === 'string' ? tensor.stringBytes() : [tensor.bytes()]
    const hash = new Digest()
    for (const part of parts) hash.update(part)
    return `sha256:${hash.hex().slice(0, 8)}`
  }

  #tensor(tensor: Tensor): string {
    return `${printType(tensorType(tensor.dtype, tensor.dims))} ${this.#data(tensor)}`
  }

  #attribute(a: Attribute, indent: string): string {
    const list = <T>(kind: string, items: readonly T[], show: (item: T) => string) =>
      items.length === 0 ? `${kind} []` : `[${items.map(show).join(', ')}]`
    switch (a.kind) {
      case 'int':
        return String(a.value)
      case 'float':
        return printFloat32(a.value)
      case 'string':
        return printBytes(a.value)
      case 'ints':
        return list('ints', a.value, String)
      case 'floats':
        return list('floats', a.value, printFloat32)
      case 'strings':
        return list('strings', a.value, printBytes)
      case 'tensor':
        return this.#tensor(a.value)
      case 'tensors':
        return list('tensors', a.value, (t) => this.#tensor(t))
      case 'graph':
        return `graph ${this.graph(a.value, indent)}`
      case 'graphs':
        return list('graphs', a.value, (g) => `graph ${this.graph(g, indent)}`)
      case 'type':
        return `type ${printType(a.value)}`
      case 'types':
        return list('types', a.value, (t) => `type ${printType(t)}`)
      case 'reference':
        return `@${a.type}(${printName(a.value)})`
      case 'opaque':
        return 'opaque'
    }
  }
}

const overloadOf = ({ overload }: { overload: string }): string => (overload === '' ? '' : `@${printName(overload)}`)
