import { allGraphs, asTensor, type Model, type Node, type Value } from '../ir/index.ts'
import { nodeLabel } from '../ops/infer.ts'
import type { OpRegistry } from '../ops/registry.ts'
import { type Diagnostic, Diagnostics, type DType } from '../util/index.ts'
import { intAttribute } from './node-attributes.ts'
import { RuleContext } from './rule-context.ts'

/** What a model is between stages: all float, or with QuantizeLinear/DequantizeLinear pairs. */
export type StageName = 'float' | 'qdq'

type Check = (node: Node, cx: RuleContext, found: Diagnostics) => void

/** What each stage says about one node. */
const STAGES: Record<StageName, readonly Check[]> = {
  float: [noQuantizers, noTraining],
  qdq: [quantizePairs, constantParameters, noTraining],
}

/**
 * Checks what may exist at a stage. Returns all that is wrong, and nothing for a model that fits.
 *
 * Codes: SPEC_QUANTIZED (a float model must not be quantized yet), SPEC_TRAINING, SPEC_UNPAIRED, SPEC_SCALE, SPEC_ZERO_POINT.
 */
export function checkStage(model: Model, stage: StageName, ops: OpRegistry): readonly Diagnostic[] {
  const cx = new RuleContext(model, ops)
  const found = new Diagnostics()
  for (const graph of allGraphs(model)) {
    for (const node of graph.nodes) for (const check of STAGES[stage]) check(node, cx, found)
  }
  return found.list
}

function noQuantizers(node: Node, cx: RuleContext, found: Diagnostics): void {
  if (!cx.hasTrait(node, 'quantizer')) return
  found.error('SPEC_QUANTIZED', `the model is quantized already: it has a ${node.opType}`, {
    at: { node: nodeLabel(node) },
    fix: 'start from the float model that it was made from',
  })
}

function noTraining(node: Node, _cx: RuleContext, found: Diagnostics): void {
  if (node.opType !== 'BatchNormalization' || intAttribute(node, 'training_mode', 0) === 0) return
  found.error('SPEC_TRAINING', 'a BatchNormalization is in training mode', {
    at: { node: nodeLabel(node) },
    fix: 'export the model in inference mode (model.eval() in PyTorch)',
  })
}

/** Integers leave QuantizeLinear for DequantizeLinear only, and the float side never sees them otherwise. */
function quantizePairs(node: Node, cx: RuleContext, found: Diagnostics): void {
  if (node.opType !== 'QuantizeLinear') return
  const output = node.outputs[0]
  const stray = output?.consumers().find((reader) => reader.opType !== 'DequantizeLinear')
  if (!stray && output && !cx.isOutput(output)) return
  const where = stray ? `is read by ${stray.opType} "${nodeLabel(stray)}"` : 'is a graph output'
  found.error('SPEC_UNPAIRED', `the integers of "${output?.name}" ${where} instead of a DequantizeLinear`, {
    at: { node: nodeLabel(node) },
  })
}

/** Scales are positive and finite, and zero points have the integers' type; both are constants of one size. */
function constantParameters(node: Node, cx: RuleContext, found: Diagnostics): void {
  if (node.opType !== 'QuantizeLinear' && node.opType !== 'DequantizeLinear') return
  const at = { at: { node: nodeLabel(node) } }
  const scaleProblem = badScale(node, cx)
  if (scaleProblem) found.error('SPEC_SCALE', scaleProblem, at)
  const zeroProblem = badZeroPoint(node, cx)
  if (zeroProblem) found.error('SPEC_ZERO_POINT', zeroProblem, at)
}

function badScale(node: Node, cx: RuleContext): string | undefined {
  const scale = cx.constant(node.inputs[1])
  if (!scale) return 'the scale is not constant'
  const positive = Array.from(scale.numbers()).every((s) => s > 0 && Number.isFinite(s))
  return positive ? undefined : 'a scale is not a positive number'
}

function badZeroPoint(node: Node, cx: RuleContext): string | undefined {
  const zero = node.inputs[2]
  if (!zero) return undefined
  const tensor = cx.constant(zero)
  if (!tensor) return 'the zero point is not constant'
  const scale = cx.constant(node.inputs[1])
  if (scale && tensor.size !== scale.size) return 'scale and zero point differ in size'
  const integers = dtypeOf(node.opType === 'QuantizeLinear' ? node.outputs[0] : node.inputs[0])
  const differ = integers !== undefined && integers !== tensor.dtype
  return differ ? `the zero point is ${tensor.dtype}, the integers are ${integers}` : undefined
}

const dtypeOf = (value: Value | null | undefined): DType | undefined =>
  value?.constant?.dtype ?? asTensor(value?.type)?.dtype
