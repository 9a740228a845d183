import { attribute, GraphBuilder, type Node, Tensor, type Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { Grids } from '../grids.ts'
import type { KernelSite, Operand } from './site.ts'

const FLOAT = { to: attribute.int(1) }
const DOUBLE = { to: attribute.int(11) }

/** Writes nodes of one kernel, in front of its node and then behind it. */
export class KernelPen {
  readonly site: KernelSite
  readonly grids: Grids
  readonly #builder: GraphBuilder
  /** Codes of values that several kernels read: the first of them writes them, in front of all. */
  readonly #codes: Map<Value, Value>

  constructor(site: KernelSite, grids: Grids, codes: Map<Value, Value>) {
    const { node } = site
    this.site = site
    this.grids = grids
    this.#builder = new GraphBuilder(must(node.graph, 'graph of the layer'), { before: node })
    this.#codes = codes
  }

  op(type: string, ...inputs: Value[]): Value {
    return this.#write(type, inputs, {})
  }

  float(x: Value): Value {
    return this.#write('Cast', [x], FLOAT)
  }

  double(x: Value): Value {
    return this.#write('Cast', [x], DOUBLE)
  }

  number(value: number): Value {
    return this.#builder.constant(`${this.site.node.name}_kernel_number`, Tensor.float32([], [value]))
  }

  /** One number for each channel of the result: along its axis, which is the second of convolutions and the last of products. */
  overChannels(vector: Value): Value {
    const { node, rank } = this.site
    const dims = node.opType === 'Conv' ? [-1, ...Array<number>(rank - 2).fill(1)] : [-1]
    return this.shaped(vector, dims)
  }

  shaped(value: Value, dims: readonly number[]): Value {
    const name = `${this.site.node.name}_kernel_shape`
    return this.op('Reshape', value, this.#builder.constant(name, Tensor.int64([dims.length], dims)))
  }

  /** Whole numbers less the zero point: what a fake-quantizer makes, over the scale. */
  codes({ value, group }: Operand): Value {
    const known = this.#codes.get(value) ?? this.op('Round', this.op('Div', value, this.grids.scale(group)))
    this.#codes.set(value, known)
    return known
  }

  scale({ group }: Operand): Value {
    return this.grids.scale(group)
  }

  /** Gives the node its inputs on codes, takes its output away from those who read it, and goes on behind it. */
  run(...inputs: Value[]): Value {
    const { node } = this.site
    for (const [i, input] of inputs.entries()) node.setInput(i, input)
    node.truncateInputs(inputs.length)
    const result = this.#builder.value(`${node.name}_kernel_result`)
    node.setOutput(0, result)
    this.#builder.moveTo({ after: node })
    return result
  }

  /** Steps of the result to real values on its grid: R(steps) · scale. The fake-quantizer behind them clips, and adds nothing of its own. */
  onGrid(steps: Value, scale: Value): Value {
    return this.op('Mul', this.op('Round', steps), scale)
  }

  #write(type: string, inputs: readonly Value[], attributes: Parameters<GraphBuilder['op']>[2]): Value {
    const base = `${this.site.node.name}_kernel_${type}`
    return this.#builder.op(type, inputs, attributes, { name: base, output: base })
  }
}

/** The node whose output a value is. */
export const producerOf = (value: Value): Node => must(value.producer, `producer of "${value.name}"`)
