import {
  asTensor,
  type Graph,
  insertOn,
  type Model,
  Node,
  removeUnusedInitializers,
  replaceNode,
  safeRemove,
  Tensor,
  tensorType,
  UniqueNames,
  Value,
} from '../../ir/index.ts'
import { type DType, must } from '../../util/index.ts'
import { clipBounds, codesLeft, scalar } from './clips.ts'
import { KERNELS, type Kernel, movesCodes } from './kernels.ts'
import { dequantizedFrom, type Quantized, quantizedBy, sameParameters } from './quantized.ts'

/**
 * Replaces operators between DequantizeLinear and QuantizeLinear by integer operators, in place. Whatever has no integer operator
 * stays as it is, between its pairs, so that the model means the same before and after.
 */
export function fuseKernels(model: Model): void {
  const fuser = new Fuser(model)
  for (const node of model.graph.nodes) if (node.graph) fuser.visit(node)
  removeDequantizers(model.graph)
  removeUnusedInitializers(model)
}

class Fuser {
  readonly #model: Model
  readonly #names: UniqueNames

  constructor(model: Model) {
    this.#model = model
    this.#names = new UniqueNames(model.graph)
  }

  visit(node: Node): void {
    if (node.opType === 'QuantizeLinear' || node.opType === 'DequantizeLinear') return
    if (!this.#move(node)) this.#compute(node)
  }

  /** Operators that move elements take codes as they are: moving and dequantizing commute. */
  #move(node: Node): boolean {
    const input = dequantizedFrom(node.inputs[0])
    if (!input || !movesCodes(node) || input.axis !== undefined) return false
    const moved = node.outputs.filter((v): v is Value => v !== null && asTensor(v.type)?.dtype === 'float32')
    if (moved.some((value) => this.#isOutput(value))) return false
    node.setInput(0, input.codes)
    for (const value of moved) this.#requantize(value, input)
    return true
  }

  /** Makes a value codes: quantizers on the same scale behind it go, other readers get a DequantizeLinear. */
  #requantize(value: Value, input: Quantized): void {
    const type = value.type
    value.type = tensorType(input.dtype, asTensor(type)?.shape)
    for (const reader of value.consumers()) {
      const q = reader.opType === 'QuantizeLinear' ? quantizedBy(reader) : undefined
      if (q && reader.inputs[0] === value && sameParameters(q, input)) replaceNode(reader, [], [value])
    }
    const uses = value.uses().filter(({ node }) => node.opType !== 'DequantizeLinear')
    if (uses.length === 0) return
    const name = this.#names.node(`${value.name}_DequantizeLinear`)
    const real = new Value(this.#names.value(`${value.name}_dequantized`), type)
    const inputs = [value, input.scale, input.zeroPoint]
    insertOn(value, [new Node({ opType: 'DequantizeLinear', name, inputs, outputs: [real] })], { uses })
  }

  #compute(node: Node): void {
    const build = KERNELS[node.qualifiedType]
    if (!build || node.outputs.length !== 1) return
    const { chain, end } = this.#chain(node)
    const output = end && quantizedBy(end)
    const around = { node, opset: this.#model.opset(), input: (i: number) => dequantizedFrom(node.inputs[i]) }
    const fused = output && build({ ...around, output })
    if (end && output && fused) this.#replace(end, fused, output, chain)
    else if (!end) this.#toFloat(node, build({ ...around, output: undefined }))
  }

  /** The node's own Relu and Clip, up to the quantizer that alone reads them. */
  #chain(node: Node): { chain: Node[]; end: Node | undefined } {
    const chain: Node[] = []
    for (let last = node; ; ) {
      const value = last.outputs[0]
      const reader = value && !this.#isOutput(value) ? onlyReader(value) : undefined
      if (reader?.opType === 'QuantizeLinear') return { chain, end: reader }
      if (!reader || reader.inputs[0] !== value || !clipBounds(reader)) return { chain, end: undefined }
      chain.push(reader)
      last = reader
    }
  }

  #replace(end: Node, kernel: Kernel, output: Quantized, chain: readonly Node[]): void {
    const first = must((chain[0] ?? end).inputs[0]?.producer, 'fused node')
    const codes = this.#value(first, output.dtype)
    const nodes = [this.#node(kernel, first.name, codes)]
    const left = codesLeft(chain, output)
    if (left) nodes.push(this.#clip(codes, output, left.lo, left.hi))
    replaceNode(end, nodes, [nodes.at(-1)?.outputs[0]])
    for (const node of [...chain].reverse()) safeRemove(node)
    safeRemove(first)
  }

  #toFloat(node: Node, kernel: Kernel | undefined): void {
    if (!kernel) return
    const made = this.#node(kernel, node.name, this.#value(node, 'float32'))
    replaceNode(node, [made], [made.outputs[0]])
  }

  #node({ opType, domain, inputs, attributes }: Kernel, name: string, output: Value): Node {
    if (domain !== '') this.#model.opsets.set(domain, 1)
    const values = inputs.map((input, i) =>
      input instanceof Tensor ? this.#initializer(`${name}_${opType}_${i}`, input) : input,
    )
    return new Node({ opType, domain, name, inputs: values, outputs: [output], attributes })
  }

  #clip(codes: Value, q: Quantized, lo: number, hi: number): Node {
    const bounds = [lo, hi].map((code) => this.#initializer(`${codes.name}_bound`, scalar(q, code)))
    const output = new Value(this.#names.value(`${codes.name}_clipped`), codes.type)
    return new Node({ opType: 'Clip', name: this.#names.node('Clip'), inputs: [codes, ...bounds], outputs: [output] })
  }

  #value(node: Node, dtype: DType): Value {
    const old = must(node.outputs[0], 'output')
    return new Value(this.#names.value(`${old.name}_codes`), tensorType(dtype, asTensor(old.type)?.shape))
  }

  #initializer(name: string, constant: Tensor): Value {
    return this.#model.graph.addInitializer(this.#names.value(name), constant)
  }

  #isOutput = (value: Value): boolean => this.#model.graph.isOutput(value)
}

function onlyReader(value: Value): Node | undefined {
  return value.useCount === 1 ? value.consumers()[0] : undefined
}

/** Dequantizers that nobody reads any more. */
function removeDequantizers(graph: Graph): void {
  for (const node of [...graph.nodes]) if (node.opType === 'DequantizeLinear') safeRemove(node)
}
