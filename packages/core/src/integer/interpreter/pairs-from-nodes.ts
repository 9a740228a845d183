import {
  asTensor,
  type Model,
  makersOf,
  Node,
  safeRemove,
  Tensor,
  tensorType,
  UniqueNames,
  Value,
} from '../../ir/index.ts'
import { type DType, integerRange, must } from '../../util/index.ts'
import { type Codes, endOfNodes } from '../quantizers.ts'

/** Codes that end before their type does; QuantizeLinear cannot say so. */
export const CODE_RANGE = 'code range'

/**
 * Turns fake quantizers that are written as float nodes into pairs of QuantizeLinear and DequantizeLinear, in place: backends that round
 * in other ways are simulated so. How codes are rounded is then the arithmetic's to say.
 */
export function pairsFromNodes(model: Model): void {
  const names = new UniqueNames(model.graph)
  for (const head of [...model.graph.nodes]) {
    const isHead = head.graph && head.domain === '' && (head.opType === 'Div' || head.opType === 'Mul')
    const end = isHead ? endOfNodes(head) : undefined
    if (end && startsWith(head, end)) rewrite(head, end, names)
  }
}

/** Where a fake quantizer that is written as float nodes ends, if it begins with this one. */
export function simulatedEnd(head: Node): Node | undefined {
  const isHead = head.graph && head.domain === '' && (head.opType === 'Div' || head.opType === 'Mul')
  const end = isHead ? endOfNodes(head) : undefined
  return end && startsWith(head, end) ? end.dequantizer : undefined
}

/** The head divides by the scale that the end multiplies with. */
function startsWith(head: Node, { scale }: Codes): boolean {
  const factor = head.inputs[1]?.constant
  const step = scale[0] as number
  return factor?.size === 1 && factor.numbers()[0] === (head.opType === 'Div' ? step : Math.fround(1 / step))
}

function rewrite(head: Node, { codes, dequantizer: end }: Codes, names: UniqueNames): void {
  const graph = must(head.graph, 'graph')
  const range = rangeOf(codes)
  const zero = codes.producer?.inputs[1]?.constant?.numbers()[0]
  if (!range || zero === undefined) return
  const constant = (name: string, tensor: Tensor): Value => graph.addInitializer(names.value(name), tensor)
  const step = must(end.inputs[1]?.constant, 'scale').numbers()[0] as number
  const parameters = [
    constant('scale', Tensor.float32([], [step])),
    constant('zero_point', Tensor.fromNumbers(range.dtype, [], [zero])),
  ]
  const real = must(end.outputs[0], 'output')
  const type = tensorType(range.dtype, asTensor(real.type)?.shape)
  const quantized = new Value(names.value(`${real.name.replace(/_dequantized$/, '')}_quantized`), type)
  const add = (opType: string, data: Value | null, output: Value): void => {
    const init = { opType, name: names.node(opType), inputs: [data, ...parameters], outputs: [output] }
    const node = graph.add(new Node(init), { before: head })
    node.meta.set(CODE_RANGE, range)
  }
  add('QuantizeLinear', head.inputs[0] ?? null, quantized)
  end.setOutput(0, null)
  add('DequantizeLinear', quantized, real)
  removeUnread(end)
}

export interface CodeRange {
  readonly dtype: DType
  readonly min: number
  readonly max: number
}

/** The smallest integer type that holds what a Clip leaves. */
function rangeOf(codes: Value): CodeRange | undefined {
  const bounds = codes.producer?.inputs[0]?.producer?.inputs ?? []
  const [min, max] = [1, 2].map((i) => bounds[i]?.constant?.numbers()[0])
  if (min === undefined || max === undefined) return undefined
  const types = (min < 0 ? ['int8', 'int16'] : ['uint8', 'uint16']) as readonly DType[]
  const dtype = types.find((type) => {
    const range = integerRange(type)
    return range && range.min <= min && max <= range.max
  })
  return dtype && { dtype, min, max }
}

/** Removes a node and what only it read. */
function removeUnread(node: Node): void {
  const makers = makersOf(node)
  if (safeRemove(node).removed) for (const maker of makers) removeUnread(maker)
}
