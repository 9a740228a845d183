import {
  asTensor,
  cloneModel,
  isStatic,
  type Model,
  type Node,
  nodesLeadingTo,
  tensorType,
  type Value,
} from '../../ir/index.ts'
import { defaultOps, readAttrs, versionIn } from '../../ops/index.ts'
import { clipBounds, inferShapes } from '../../passes/index.ts'
import { type Diagnostic, Diagnostics, FewbitError, must } from '../../util/index.ts'
import type { ExportContext } from '../define.ts'
import { activationEncodings } from '../encodings.ts'
import type { TranslatedGraph } from './graph.ts'
import { type Form, Lowering } from './lowering.ts'
import { TRANSLATIONS } from './operators.ts'
import { inOrder } from './order.ts'
import type { ActivationName } from './schema.ts'
import { refuse, type Task } from './task.ts'

export interface Translation {
  readonly graph: TranslatedGraph | undefined
  readonly problems: readonly Diagnostic[]
}

/**
 * A float network and its plan as a TFLite graph: int8 where the plan says integer, float between DEQUANTIZE and QUANTIZE elsewhere.
 * The model is not changed. An open batch becomes 1.
 */
export function translate(cx: ExportContext): Translation {
  const model = withStaticBatch(cx)
  const problems = openInputs(model)
  return problems.length > 0 ? { graph: undefined, problems } : new Translator({ ...cx, model }).run(cx.name)
}

/** What is open in an input is open everywhere behind it. */
function openInputs(model: Model): readonly Diagnostic[] {
  const diagnostics = new Diagnostics()
  for (const { name, type } of model.graph.inputs) {
    const shape = asTensor(type)?.shape
    if (shape && isStatic(shape)) continue
    diagnostics.error(
      'EXPORT_SHAPE',
      `the sizes of the input "${name}" are open: ${shape ? `[${shape.join(', ')}]` : 'unknown'}`,
      {
        at: { value: name },
        fix: 'export the model with fixed sizes; only the batch may be open, and becomes 1',
      },
    )
  }
  return diagnostics.list
}

function withStaticBatch(cx: ExportContext): Model {
  const model = cloneModel(cx.model)
  const open = model.graph.inputs.filter((value) => typeof asTensor(value.type)?.shape?.[0] !== 'number')
  for (const value of open) {
    const type = asTensor(value.type)
    if (type?.shape && type.shape.length > 0) value.type = tensorType(type.dtype, type.shape.with(0, 1))
  }
  if (open.length > 0) inferShapes(model, { ops: cx.ops ?? defaultOps, trustDeclared: false })
  return model
}

class Translator {
  readonly #cx: ExportContext
  readonly #lowering: Lowering
  readonly #decisions: ReadonlyMap<string, string>
  readonly #encodings: ReadonlySet<string>
  readonly #taken = new Set<Node>()
  readonly #problems: Diagnostic[] = []

  constructor(cx: ExportContext) {
    this.#cx = cx
    this.#lowering = new Lowering(cx)
    this.#decisions = new Map(cx.plan.nodes.map(({ node, decision }) => [node, decision]))
    this.#encodings = new Set(activationEncodings(cx).keys())
  }

  run(name: string): Translation {
    const { graph } = this.#cx.model
    for (const node of nodesLeadingTo(graph, graph.outputs)) {
      if (!this.#taken.has(node) && isFloat(node)) this.#collect(node, () => this.#node(node))
    }
    const finished = this.#collect(graph.outputs[0]?.producer ?? undefined, () => this.#lowering.finish(name))
    return { graph: this.#problems.length === 0 ? finished : undefined, problems: this.#problems }
  }

  /** All problems are worth telling, so that what a node would have made is taken as made, in float. */
  #collect<T>(node: Node | undefined, step: () => T): T | undefined {
    try {
      return step()
    } catch (error) {
      if (!(error instanceof FewbitError)) throw error
      this.#problems.push(...error.diagnostics)
      for (const value of node?.outputs ?? []) if (value && !this.#lowering.isHeld(value)) this.#standIn(value)
      return undefined
    }
  }

  #standIn(value: Value): void {
    const shape = asTensor(value.type)?.shape
    if (shape && isStatic(shape)) this.#lowering.define(value, 'real', inOrder(shape.length))
  }

  #node(node: Node): void {
    const form = this.#formOf(node)
    const chain = form === 'codes' ? this.#chain(node) : []
    const result = must((chain.at(-1) ?? node).outputs[0], 'output')
    const task = this.#task(node, form, result)
    const activation = activationOf(task, chain)
    if (activation) this.#translate({ ...task, activation })
    else this.#clippedBehind(task, chain)
    for (const taken of chain) this.#taken.add(taken)
  }

  /** Clips on codes behind the kernel: rounding is monotone, so that the codes are those of what was clipped before. */
  #clippedBehind(task: Task, chain: readonly Node[]): void {
    const steps = [task.node, ...chain]
    const results = steps.map((node) => must(node.outputs[0], 'output'))
    for (const value of results) this.#lowering.lend(value, task.result)
    steps.forEach((node, i) => {
      this.#translate(this.#task(node, 'codes', must(results[i], 'result')))
    })
  }

  #task(node: Node, form: Form, result: Value): Task {
    return { node, form, result, activation: 'NONE', lowering: this.#lowering, attrs: this.#attrs(node) }
  }

  #translate(task: Task): void {
    const translation = TRANSLATIONS[task.node.qualifiedType]
    if (!translation) refuse(task, 'fewbit knows no operator of TFLite for it')
    else translation(task)
  }

  #attrs(node: Node): Readonly<Record<string, unknown>> {
    const def = this.#lowering.ops.of(node)
    return def ? readAttrs(def, node, versionIn(def, this.#cx.model) ?? def.since[0] ?? 1) : {}
  }

  /** Integer kernels read codes and hand over codes. */
  #formOf(node: Node): Form {
    const ends = node.outputs.filter((v): v is Value => v !== null).map((v) => this.#end(v))
    const data = node.inputs.filter(
      (v, i): v is Value => v !== null && i < dataInputs(node) && !this.#lowering.isConstant(v),
    )
    const encoded = [...ends, ...data].every((v) => this.#encodings.has(v.name))
    return this.#decisions.get(node.name) === 'integer' && encoded ? 'codes' : 'real'
  }

  #end(value: Value): Value {
    const next = this.#fusedReader(value)
    return next?.outputs[0] ? this.#end(next.outputs[0]) : value
  }

  #chain(node: Node): Node[] {
    const next = node.outputs[0] ? this.#fusedReader(node.outputs[0]) : undefined
    return next ? [next, ...this.#chain(next)] : []
  }

  #fusedReader(value: Value): Node | undefined {
    const [reader, ...others] = value.consumers()
    const isFused = reader && this.#decisions.get(reader.name) === 'fused' && reader.inputs[0] === value
    return isFused && others.length === 0 && !this.#cx.model.graph.isOutput(value) ? reader : undefined
  }
}

const isFloat = (node: Node): boolean => node.outputs.some((v) => asTensor(v?.type)?.dtype === 'float32')

/** Operators on several tensors read codes of all; others have parameters behind input 0 or 1. */
const dataInputs = (node: Node): number =>
  node.opType === 'Concat' ? node.inputs.length : ['Add', 'Sub', 'Mul', 'MatMul'].includes(node.opType) ? 2 : 1

/** The kernel's own activation for a chain of Relu and Clip; undefined where it has none. */
function activationOf(task: Task, chain: readonly Node[]): ActivationName | undefined {
  let [lo, hi] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (const node of chain) {
    const bounds = clipBounds(node) ?? refuse(task, `TFLite's kernel cannot take in ${node.opType} "${node.name}"`)
    lo = Math.max(lo, bounds.lo)
    hi = Math.min(hi, bounds.hi)
  }
  if (lo === Number.NEGATIVE_INFINITY && hi === Number.POSITIVE_INFINITY) return 'NONE'
  if (lo === 0 && hi === Number.POSITIVE_INFINITY) return 'RELU'
  if (lo === 0 && hi === 6) return 'RELU6'
  if (lo === -1 && hi === 1) return 'RELU_N1_TO_1'
  return endsWithin(task, lo, hi) ? 'NONE' : undefined
}

/** Codes that end within the bounds need no clipping; a float32 step beyond is the rounding of the scale. */
function endsWithin(task: Task, lo: number, hi: number): boolean {
  const found = task.lowering.quantization(task.result)
  if (!found) return false
  const [s, z] = [found.scale[0] as number, found.zeroPoint[0] as number]
  const step = 2 ** -20
  return (-128 - z) * s >= lo - step * Math.abs(lo) && (127 - z) * s <= hi + step * Math.abs(hi)
}
