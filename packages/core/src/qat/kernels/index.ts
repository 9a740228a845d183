import { type Graph, type Value, valuesByName } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { Grids } from '../grids.ts'
import type { KernelRecord, QFloatRecord } from '../record.ts'
import { addOnCodes, meanOnCodes, mulOnCodes, softmaxInSteps } from './elementwise.ts'
import { KernelPen, producerOf } from './pen.ts'
import { type KernelSearch, type KernelShape, type KernelSite, kernelSites } from './site.ts'
import { sumOnCodes } from './sums.ts'

interface Kernel extends KernelShape {
  /** Zero points enter its arithmetic. */
  readonly zeros?: true
  /** Writes the node on codes, and returns real values of what it makes. */
  write(pen: KernelPen): Value
}

/** ONNX Runtime's, by operator. What is not here computes the same in float, or nobody has found out how it rounds. */
const KERNELS: Readonly<Record<string, Kernel>> = {
  Conv: { operands: 2, write: sumOnCodes },
  Gemm: { operands: 2, real: true, write: sumOnCodes },
  MatMul: { operands: 2, real: true, write: sumOnCodes },
  Add: { operands: 2, zeros: true, write: addOnCodes },
  Mul: { operands: 2, zeros: true, write: mulOnCodes },
  Softmax: { operands: 1, zeros: true, write: softmaxInSteps },
  GlobalAveragePool: { operands: 1, zeros: true, write: meanOnCodes },
}

/**
 * Writes nodes that the backend runs on codes as its kernels compute them. Float convolutions round every product and sum, kernels sum whole
 * numbers: about one code in 20,000 falls on the other side of a tie, and deep networks amplify that.
 *
 * What a kernel makes stays a value of the same name, on the grid of the fake-quantizer behind it, which changes nothing but what it clips.
 * @returns what was there before.
 */
export function writeKernels(search: Omit<KernelSearch, 'shapes'>, grids: Grids): KernelRecord[] {
  const codes = new Map<Value, Value>()
  const sites = kernelSites({ ...search, shapes: KERNELS }).filter((site) => hasZeros(site, grids))
  return sites.map((site) => {
    const { node } = site
    const output = must(node.outputs[0], 'output of the layer')
    const inputs = node.inputs.map((input) => input?.name ?? '')
    const { write } = must(KERNELS[node.qualifiedType], 'kernel')
    producerOf(write(new KernelPen(site, grids, codes))).setOutput(0, output)
    return { node: node.name, inputs, output: output.name }
  })
}

function hasZeros({ node, operands, output }: KernelSite, grids: Grids): boolean {
  if (!KERNELS[node.qualifiedType]?.zeros) return true
  const groups = [...operands.map(({ group }) => group), ...(output === undefined ? [] : [output])]
  return groups.every((group) => grids.zeroPoint(group))
}

/** Takes them out again. Nodes that nothing reads any more stay. */
export function removeKernels(graph: Graph, { kernels = [] }: Pick<QFloatRecord, 'kernels'>): void {
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  const values = valuesByName(graph)
  const named = (name: string) => must(values.get(name), `value "${name}"`)
  for (const { node: name, inputs, output } of kernels) {
    const node = must(nodes.get(name), `node "${name}"`)
    const value = named(output)
    const last = producerOf(value)
    last.setOutput(0, null)
    graph.remove(last)
    node.setOutput(0, value)
    for (const [i, input] of inputs.entries()) node.setInput(i, input === '' ? null : named(input))
  }
}
