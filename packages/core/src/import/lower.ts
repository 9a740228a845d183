import { type Attribute, type Node, replaceAllUses, Tensor, Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { addOp, constantOf, type ImportContext, plainName, realName } from './context.ts'

/** A tensor of codes with the parameters that its kernel is given beside it. */
export interface Coded extends Parameters {
  readonly codes: Value
}

/** What an integer kernel computes, in float: `op(data…)`, its result quantized with `out` unless it is float already. */
export interface FloatForm {
  readonly opType: string
  readonly inputs: readonly (Value | null)[]
  readonly attributes?: Readonly<Record<string, Attribute>>
  readonly out?: Parameters
}

/** Scale and zero point of a tensor; a zero point that is left out is 0. */
export interface Parameters {
  readonly scale: Value
  readonly zero: Value | null
}

/**
 * Writes the float form of an integer kernel in its place: DequantizeLinear on what it reads, QuantizeLinear on what it makes. So
 * every quantized model becomes one of pairs, and one reader does for all.
 */
export class Lowering {
  readonly node: Node
  readonly cx: ImportContext

  constructor(node: Node, cx: ImportContext) {
    this.node = node
    this.cx = cx
  }

  /** Input `i` of codes, its scale and zero point behind it. */
  coded(i: number, scale = i + 1, zero = i + 2): Coded {
    const at = (k: number) => this.node.inputs[k] ?? null
    return { codes: must(at(i), 'codes'), scale: must(at(scale), 'scale'), zero: at(zero) }
  }

  /** The real values of a coded tensor. `axis` is where scales run if there are several. */
  dequantized({ codes, scale, zero }: Coded, axis = 1): Value {
    const measured = dynamicSource(codes, this.cx)
    if (measured) return measured
    const several = (constantOf(scale, this.cx.graph)?.size ?? 1) > 1
    const attributes = several ? { axis: { kind: 'int', value: BigInt(axis) } as const } : {}
    const inputs = zero ? [codes, scale, zero] : [codes, scale]
    const output = `${plainName(codes.name)}_dequantized`
    return addOp(this.cx, { before: this.node }, 'DequantizeLinear', inputs, { attributes, output })
  }

  /** A bias of int32 codes, whose scale is the product of its neighbours' and stands nowhere in the file. */
  bias(codes: Value, scales: readonly (Value | null)[], factor = 1): Value {
    const parts = scales.map((s) => Array.from(constantOf(s, this.cx.graph)?.numbers() ?? [1]))
    const count = Math.max(...parts.map((p) => p.length))
    const at = (p: readonly number[], i: number) => p[i % p.length] as number
    const product = (i: number) => parts.reduce((x, p) => Math.fround(x * at(p, i)), factor)
    const numbers = Array.from({ length: count }, (_, i) => product(i))
    const scale = this.constant(`${codes.name}_scale`, Tensor.float32(count > 1 ? [count] : [], numbers))
    return this.dequantized({ codes, scale, zero: null }, 0)
  }

  constant(name: string, tensor: Tensor): Value {
    return this.cx.graph.addInitializer(this.cx.names.value(name), tensor)
  }

  /** One more float operator before the node. */
  op(type: string, inputs: readonly (Value | null)[], attributes: Readonly<Record<string, Attribute>> = {}): Value {
    return addOp(this.cx, { before: this.node }, type, inputs, { attributes })
  }

  /** The node's place and name go to its float form. */
  replace({ opType, inputs, attributes = {}, out }: FloatForm): void {
    const { node, cx } = this
    const result = must(node.outputs[0], 'output')
    const at = { before: node }
    const output = new Value(realName(result, cx))
    const real = addOp(cx, at, opType, inputs, { attributes, output })
    if (out) {
      node.setOutput(0, null)
      addOp(cx, at, 'QuantizeLinear', [real, out.scale, ...(out.zero ? [out.zero] : [])], { output: result })
    } else {
      replaceAllUses(result, real)
    }
    cx.graph.remove(node)
    must(real.producer, 'float form').name = node.name
  }
}

/**
 * What DynamicQuantizeLinear quantizes, where the codes come from one. Its scale is that of each run's data, which no parameter
 * table holds, so that the tensor goes on in float.
 */
export function dynamicSource(codes: Value, { diagnostics, dynamic }: ImportContext): Value | undefined {
  const node = codes.producer
  const source = node?.qualifiedType === 'DynamicQuantizeLinear' ? node.inputs[0] : undefined
  if (!node || !source) return undefined
  if (!dynamic.has(node)) {
    const text = `"${source.name}" is quantized by each run's own range, which parameters cannot hold; its weights are imported`
    diagnostics.warn('IMPORT_DYNAMIC', text, {
      at: { value: source.name, node: node.name },
      fix: 'calibrate the float model to quantize activations with fixed scales',
    })
  }
  dynamic.add(node)
  return source
}
