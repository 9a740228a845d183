import { allGraphs, type Node, type Value } from '../ir/index.ts'
import { inputRole, nodeMacs, type OpDef } from '../ops/index.ts'
import {
  type NodePlan,
  outputBounds,
  type ParamsTable,
  storageDType,
  type Target,
  type TensorPlan,
} from '../quant/index.ts'
import { endsWithin } from './code-ends.ts'
import type { ImportContext } from './context.ts'
import { plannedVerdicts } from './planned-verdicts.ts'

type Verdict = readonly [decision: NodePlan['decision'], text: string]

/**
 * What the file makes of each node, read off the quantizers around it. Integer kernels stand between quantizers; an activation
 * between a kernel and its quantizer is part of the kernel if the codes end where it clips.
 */
export function nodePlans(
  tensors: readonly TensorPlan[],
  params: ParamsTable,
  cx: ImportContext,
  { target, scheme }: { readonly target: Target | undefined; readonly scheme: string },
): NodePlan[] {
  const planned = target ? plannedVerdicts(tensors, params, scheme, cx, target) : new Map<string, NodePlan>()
  const judge = new Judge(tensors, params, cx, target)
  const nodes: NodePlan[] = []
  for (const graph of allGraphs(cx.model)) {
    for (const node of graph.nodes) {
      const known = planned.get(node.name)
      const [decision, text] = known
        ? ([known.decision, `quantized in the file as ${target?.title} has it: ${known.reason.text}`] as const)
        : graph === cx.graph
          ? judge.verdict(node)
          : (['float', 'it stands in a nested graph or a function'] as const)
      const macs = nodeMacs(node, cx.model, cx.ops)
      const reason = { code: 'IMPORTED', text }
      nodes.push({
        node: node.name,
        opType: node.qualifiedType,
        decision,
        reason,
        ...(macs === undefined ? {} : { macs }),
      })
    }
  }
  return nodes
}

class Judge {
  readonly #cx: ImportContext
  readonly #params: ParamsTable
  readonly #target: Target | undefined
  readonly #byValue = new Map<string, TensorPlan[]>()
  /** Activations that a kernel absorbs → that kernel's node. */
  readonly #absorbed = new Map<Node, Node>()

  constructor(tensors: readonly TensorPlan[], params: ParamsTable, cx: ImportContext, target: Target | undefined) {
    this.#cx = cx
    this.#params = params
    this.#target = target
    for (const t of tensors) this.#byValue.set(t.value, [...(this.#byValue.get(t.value) ?? []), t])
  }

  verdict(node: Node): Verdict {
    const host = this.#absorbed.get(node)
    if (host)
      return [
        'fused',
        `it stands between ${host.opType} "${host.name}" and its quantizer, whose codes end where it clips`,
      ]
    const def = this.#cx.ops.of(node)
    if (!def) return ['float', `${node.qualifiedType} is not an operator that fewbit knows`]
    const operands = operandsOf(node, def)
    const codes = operands.filter((value) => this.#readsCodes(node, value))
    if (codes.length === 0) return ['float', 'nothing that it reads is quantized in the file']
    if (codes.length < operands.length) return ['quantized', 'only some of what it reads is quantized in the file']
    return this.#noKernel(node, codes) ?? this.#byResult(node, def)
  }

  #readsCodes(node: Node, value: Value): boolean {
    return (this.#byValue.get(value.name) ?? []).some((t) => t.readers.includes(node.name))
  }

  /** A target that is known may have no kernel for the operator or for the types. */
  #noKernel(node: Node, codes: readonly Value[]): Verdict | undefined {
    const target = this.#target
    if (!target) return undefined
    const rule = target.ops[node.qualifiedType]
    if (!rule || rule.mode === 'float' || rule.mode === 'weights') {
      return ['quantized', `${target.title} has no integer kernel for ${node.qualifiedType}`]
    }
    const plans = codes.flatMap((value) => this.#byValue.get(value.name) ?? [])
    const alien = plans.find((t) => t.role !== 'bias' && !kernelTypes(target, t).includes(storageDType(t.spec)))
    return alien && ['quantized', `${target.title} has no ${node.opType} kernel for ${storageDType(alien.spec)}`]
  }

  #byResult(node: Node, def: OpDef): Verdict {
    const results = node.outputs.filter((v) => v !== null && (v.useCount > 0 || this.#cx.graph.isOutput(v)))
    if (results.every((value) => value && this.#byValue.has(value.name))) {
      return ['integer', 'all that it reads and makes is quantized in the file']
    }
    if (this.#absorbs(node))
      return ['integer', 'all that it reads and makes is quantized in the file, behind its activation']
    if (def.quant.traits?.includes('accumulates') && this.#target?.ops[node.qualifiedType]?.floatOutput) {
      return ['integer', 'all that it reads is quantized in the file, and its kernel hands over float']
    }
    return ['quantized', 'its result is not quantized in the file']
  }

  /** Finds a Relu or Clip between the node and its quantizer, and remembers it. */
  #absorbs(node: Node): boolean {
    const value = node.outputs[0]
    const [activation, ...others] = value?.consumers() ?? []
    if (!value || !activation || others.length > 0 || this.#cx.graph.isOutput(value)) return false
    const def = this.#cx.ops.of(activation)
    const bounds = def?.quant.traits?.includes('fusable-activation') && outputBounds(activation, def)
    const plan = this.#byValue.get(activation.outputs[0]?.name ?? '')?.[0]
    const params = plan && this.#params.get(plan.group)
    if (!bounds || !params || activation.inputs[0] !== value) return false
    if (!this.#inAccumulator(node, activation) && !endsWithin(bounds, params)) return false
    this.#absorbed.set(activation, node)
    return true
  }

  /** The target clips before it requantizes, whatever the codes. */
  #inAccumulator(host: Node, { qualifiedType }: Node): boolean {
    const fits = (p: Target['fuse'][number]) => p.hosts.includes(host.qualifiedType) && p.chain.join() === qualifiedType
    return this.#target?.fuse.some((p) => p.clips === 'accumulator' && fits(p)) ?? false
  }
}

const kernelTypes = ({ kernels }: Target, t: TensorPlan) =>
  t.role === 'weight' ? kernels.weights : kernels.activations

/** What carries data or weights into a node; biases, shapes and bounds are not what makes a kernel an integer one. */
const operandsOf = (node: Node, def: OpDef): Value[] =>
  node.inputs.flatMap((value, i) => {
    const role = inputRole(def, i)
    return value && (role === 'activation' || role === 'weight') ? [value] : []
  })
