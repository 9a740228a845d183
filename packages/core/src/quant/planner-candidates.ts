import { asTensor, type Model, type Node } from '../ir/index.ts'
import { inputRole, type OpDef, type OpRegistry, readAttrs, versionIn } from '../ops/index.ts'
import { isFloat } from '../util/index.ts'
import type { Reason } from './plan.ts'
import { isConstant } from './planner-bounds.ts'
import type { NodeSettings, Settings } from './planner-settings.ts'
import type { Dispatch, OpRule, Target } from './target.ts'

/** A node that could be quantized by itself, before its neighbours are asked. */
export interface Candidate {
  readonly node: Node
  readonly def: OpDef
  readonly rule: OpRule
  readonly settings: NodeSettings
  /**
   * `accumulate`: sums products, what integers are for. `light`: has an integer kernel, worth it between integer neighbours.
   * `pass`: moves elements. `weights`: only its weight is quantized.
   */
  readonly kind: 'accumulate' | 'light' | 'pass' | 'weights'
  /** Positions of inputs that carry activations. */
  readonly data: readonly number[]
  /** Positions of constant operands that are quantized the way activations are. */
  readonly constants: readonly number[]
  readonly weight: number | undefined
  readonly bias: number | undefined
  /** Positions of scalar constants in units of input 0, which take its codes: the value that Pad fills with. */
  readonly fills: readonly number[]
}

export type Eligibility = { readonly candidate: Candidate } | { readonly reason: Reason }

/** What the checks of one planner run need. */
export interface PlanContext {
  readonly model: Model
  readonly target: Target
  readonly ops: OpRegistry
  readonly settings: Settings
  readonly dispatch: Dispatch
}

/** Whether a node of the main graph could be quantized on the target, and if not, why not. */
export function eligibility(node: Node, cx: PlanContext): Eligibility {
  const settings = cx.settings.of(node)
  if (settings.float) return { reason: settings.float }
  const { target } = cx
  const rule = target.ops[node.qualifiedType]
  if (!rule || rule.mode === 'float') {
    return no('NO_KERNEL', rule?.why ?? `${target.title} has no integer kernel for ${node.qualifiedType}`)
  }
  const def = cx.ops.of(node)
  if (!def) return no('UNKNOWN_OP', `${node.qualifiedType} is not an operator that fewbit knows`)
  const inputs = sortInputs(node, def)
  const obstacle =
    dtypeObstacle(node, inputs) ?? attributeObstacle(node, def, rule, cx) ?? operandObstacle(node, def, rule, inputs)
  if (obstacle) return { reason: obstacle }
  const kind = kindOf(def, rule, settings, inputs, target)
  return typeof kind === 'string' ? { candidate: { node, def, rule, settings, kind, ...inputs } } : { reason: kind }
}

type Inputs = Pick<Candidate, 'data' | 'constants' | 'weight' | 'bias' | 'fills'>

function sortInputs(node: Node, def: OpDef): Inputs {
  const data: number[] = []
  const constants: number[] = []
  const fills: number[] = []
  let weight: number | undefined
  let bias: number | undefined
  node.inputs.forEach((value, i) => {
    if (!value) return
    const role = inputRole(def, i)
    if (role === 'bias') bias = i
    else if (role === 'fill' && isConstant(value) && value.constant?.size === 1) fills.push(i)
    else if (role === 'weight' && isConstant(value)) weight = i
    else if (role === 'activation' && isConstant(value)) constants.push(i)
    else if (role === 'activation' || role === 'weight') data.push(i)
  })
  return { data, constants, weight, bias, fills }
}

function dtypeObstacle(node: Node, inputs: Inputs): Reason | undefined {
  const { data, constants, weight } = inputs
  const carriers = [...data, ...constants, ...(weight === undefined ? [] : [weight])].map((i) => node.inputs[i])
  for (const value of [...carriers, ...node.outputs]) {
    const dtype = value ? asTensor(value.type)?.dtype : 'float32'
    if (dtype === 'float32') continue
    if (!dtype) return reason('TYPE_UNKNOWN', `the type of "${value?.name}" could not be inferred`)
    return isFloat(dtype)
      ? reason('DTYPE', `"${value?.name}" is ${dtype}; only float32 is quantized`)
      : reason('NOT_FLOAT', `"${value?.name}" is ${dtype}: integer and shape arithmetic is never quantized`)
  }
  return undefined
}

function attributeObstacle(node: Node, def: OpDef, rule: OpRule, { model, target }: PlanContext): Reason | undefined {
  if (!rule.attrs) return undefined
  const attrs: Record<string, unknown> = readAttrs(def, node, versionIn(def, model) ?? def.since[0] ?? 1)
  for (const [name, allowed] of Object.entries(rule.attrs)) {
    const value = attrs[name] as number | string | undefined
    if (value === undefined || allowed.includes(value)) continue
    const text = `the kernel of ${target.title} takes ${name} = ${allowed.join(' or ')} only, and here it is ${value}`
    return reason('ATTRIBUTE', text)
  }
  return undefined
}

function operandObstacle(node: Node, def: OpDef, rule: OpRule, { data, bias, constants }: Inputs): Reason | undefined {
  if (data.length === 0) return reason('CONSTANT', 'all of its data is constant, so that it can be folded')
  if (rule.computedOperands && constants.length > 0) {
    return reason(
      'CONSTANT_OPERAND',
      'one operand is constant: it is a bias or a factor, which the backend keeps in float',
    )
  }
  const dynamic = rule.dynamicWeight ? undefined : data.find((i) => inputRole(def, i) === 'weight')
  if (dynamic !== undefined) {
    return reason('WEIGHT_DYNAMIC', `its weight "${node.inputs[dynamic]?.name}" is computed while the model runs`)
  }
  const b = bias === undefined ? null : node.inputs[bias]
  if (!b) return undefined
  if (!isConstant(b)) return reason('BIAS_DYNAMIC', `its bias "${b.name}" is computed while the model runs`)
  const dims = b.constant?.dims ?? []
  const isVector = dims.length > 0 && dims.slice(0, -1).every((d) => d === 1)
  return isVector
    ? undefined
    : reason('BIAS_SHAPE', `its bias has shape [${dims.join(',')}] instead of one value a channel`)
}

function kindOf(
  def: OpDef,
  rule: OpRule,
  { rules }: NodeSettings,
  { weight }: Inputs,
  target: Target,
): Candidate['kind'] | Reason {
  const accumulates = def.quant.traits?.includes('accumulates') ?? false
  const isWhole = rules.activations && rule.mode !== 'weights'
  if (isWhole) return rule.mode === 'pass' ? 'pass' : accumulates ? 'accumulate' : 'light'
  if (accumulates && weight !== undefined) return 'weights'
  const who = rules.activations ? `${target.title} quantizes` : `the scheme ${rules.scheme.name} quantizes`
  return reason('WEIGHTS_ONLY', `${who} weights only, and it has no constant one`)
}

const reason = (code: string, text: string): Reason => ({ code, text })
const no = (code: string, text: string): Eligibility => ({ reason: reason(code, text) })
