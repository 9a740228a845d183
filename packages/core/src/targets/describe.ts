import {
  type ActivationRule,
  type Dispatch,
  defaultScheme,
  type OpRule,
  quantSpec,
  storageDType,
  type Target,
  type TensorRule,
} from '../quant/index.ts'

/** A backend's table in words. JSON. */
export interface TargetDescription {
  /** What holds for all tensors and nodes: label and sentence. */
  readonly facts: readonly (readonly [label: string, text: string])[]
  /** Operators of one rule, and the rule. */
  readonly operators: readonly { readonly types: readonly string[]; readonly rule: string }[]
  /** What one kernel runs together: hosts and what follows them. */
  readonly fusions: readonly { readonly hosts: readonly string[]; readonly chain: string }[]
}

/** Says what a target's table says, for `fewbit targets NAME` and the target's page. */
export function describeTarget(target: Target): TargetDescription {
  const { bits } = target
  return {
    facts: [
      ['activations', quantizesActivations(target) ? activationText(target.activations, target) : 'stay in float'],
      ['weights', ruleText(target.weights, target)],
      ['bias', biasText(target)],
      ...(target.formats === 'any' ? [FORMATS] : []),
      ['bits', `weights ${bits.weights.join(', ')}; activations ${bits.activations.join(', ') || 'none'}`],
      ['scheme', `${defaultScheme(target)} where none is asked for`],
      ['kernels', kernelText(target)],
      ['arithmetic', arithmeticText(target)],
      ...rewriteFacts(target),
      ['quantizers', POINTS[target.points ?? 'both'] + (target.repeats === 'drop' ? REPEATS : '')],
      ['quantized nodes', DISPATCH[target.dispatch ?? 'neighbours'] + edgeText(target)],
      ['opset', `${target.minOpset} or later`],
      ['writes', target.exporters.join(', ')],
      ['checked', EVIDENCE[target.evidence ?? 'literature']],
      ['page', target.source],
    ],
    operators: operatorRules(target),
    fusions: fusionGroups(target),
  }
}

const quantizesActivations = ({ bits }: Target): boolean => bits.activations.length > 0

const FORMATS = [
  'formats',
  'any in place of integers, where a fake-quantizer makes one; not at the first and the last',
] as const

const kernelText = ({ kernels }: Target): string =>
  `activations ${kernels.activations.join(', ') || 'float'}; weights ${kernels.weights.join(', ')}`

const rewriteFacts = ({ rewrites = [] }: Target): TargetDescription['facts'] =>
  rewrites.length > 0 ? [['rewrites', `${rewrites.join(', ')} before planning`]] : []

const POINTS = {
  both: 'at what quantized nodes read and at what they make',
  inputs: 'at what quantized nodes read only; results stay in float until somebody reads them as codes',
  outputs: 'at all that quantized nodes make, and where float values enter',
}
const REPEATS = '; none behind a node that moves codes'

const DISPATCH: Record<Dispatch, string> = {
  neighbours: 'what sums products, and lighter operators between integer ones',
  conservative: 'what sums products, and what follows it up to an operator without a kernel',
  aggressive: 'what sums products, and whatever has a kernel behind it',
  'conv-to-conv': 'what sums products, and what lies between two such nodes',
  listed: 'every node whose operator is listed',
}

const EVIDENCE = {
  engine: 'the backend itself ran the artefacts',
  documentation: "read off the vendor's documents or source",
  literature: 'read off papers and the tools that quantized for it',
}

const edgeText = ({ edgeBits, fallback }: Target): string =>
  (edgeBits ? `; the first and the last of them at ${edgeBits} bits` : '') +
  (fallback === 'none' ? '; none is left in float for accuracy, the backend running integers only' : '')

/** `int8 symmetric −127…127, one scale for each output channel, a power of two (rounded up)`. */
function ruleText(rule: TensorRule, target: Target): string {
  const { quantMin, quantMax, powerOfTwo, format } = quantSpec(rule, undefined, target)
  const type = format ? `${rule.bits}-bit ${format.kind}` : storageDType(rule)
  const codes = format ? '' : ` ${quantMin}…${quantMax}`
  const scales = rule.granularity === 'tensor' ? 'one scale' : `one scale for each ${rule.granularity}`
  const shifts = powerOfTwo ? `, a power of two (log2 ${LOG_ROUNDING[powerOfTwo]})` : ''
  return `${type} ${rule.symmetric ? 'symmetric' : 'affine'}${codes}, ${scales}${shifts}`
}

/** A few words for lists: `uint8 affine`, `int8 symmetric, by channel`, `int8 symmetric 2ⁿ`. */
export function brieflyText(rule: TensorRule): string {
  const type = rule.format ? `${rule.bits}-bit ${rule.format.kind}` : storageDType(rule)
  const grid = `${rule.symmetric ? 'symmetric' : 'affine'}${rule.powerOfTwo ? ' 2ⁿ' : ''}`
  return `${type} ${grid}${rule.granularity === 'tensor' ? '' : `, by ${rule.granularity}`}`
}

const LOG_ROUNDING = { round: 'rounded', ceil: 'rounded up', floor: 'rounded down' }

const activationText = (rule: ActivationRule, target: Target): string =>
  ruleText(rule, target) +
  (rule.unsignedWherePossible ? '; unsigned codes for what is never negative' : '') +
  (rule.symmetric && !rule.signed && !rule.format
    ? '; the zero point in the middle, or 0 where nothing was negative'
    : '')

function biasText({ bias }: Target): string {
  if (!bias) return 'stays in float'
  const scale = bias.scale === 'own' ? 'a scale of its own' : 'scale(input) · scale(weight)'
  return `${bias.bits} bits, ${scale}${bias.powerOfTwo ? ', a power of two' : ''}`
}

function arithmeticText({ rounding, reciprocal, addThenRound }: Target): string {
  const by = reciprocal ? 'multiplied by 1/scale' : 'divided by the scale'
  return `values are ${by}, rounded ${rounding}, ${addThenRound ? 'after' : 'before'} the zero point is added`
}

/** Operators by rule, in the order of the table. */
function operatorRules(target: Target): TargetDescription['operators'] {
  const byRule = new Map<string, string[]>()
  for (const [type, rule] of Object.entries(target.ops)) {
    const text = opText(rule, target)
    byRule.set(text, [...(byRule.get(text) ?? []), type])
  }
  return [...byRule].map(([rule, types]) => ({ types, rule }))
}

const MODES = { integer: 'integer kernel', pass: 'moves codes', weights: 'float arithmetic with a quantized weight' }

function opText(rule: OpRule, { title }: Target): string {
  if (rule.mode === 'float') return rule.why ?? `${title} has no integer kernel`
  const shared = {
    input0: 'result on the scale of its input',
    'all-inputs': 'one scale where inputs are read by nobody else',
  }
  return [
    MODES[rule.mode],
    ...(rule.share ? [shared[rule.share]] : []),
    ...(rule.align && rule.align !== 'none' ? [ALIGNED[rule.align]] : []),
    ...Object.entries(rule.attrs ?? {}).map(([name, values]) => `${name} = ${values.join(' or ')}`),
    ...conditions(rule),
  ].join('; ')
}

const ALIGNED = {
  input: 'result must have the scale of its input',
  large: 'inputs must share the scale of the largest',
  output: 'inputs must have the scale of the result',
}

const READ_BY = {
  product: 'only between quantized operands and an operator that sums products',
  'no-product': 'only behind quantized operands, where no operator that sums products reads the result',
}

function conditions(rule: OpRule): string[] {
  const { minChannels, weightsOf, fixedOutput } = rule
  return [
    ...(rule.floatOutput ? ['result may stay in float'] : []),
    ...(rule.dynamicWeight ? ['both operands may be computed'] : []),
    ...(rule.computedOperands ? ['only where both operands are computed'] : []),
    ...(rule.readBy ? [READ_BY[rule.readBy]] : []),
    ...(rule.perChannelRank ? [`a scale for each channel at rank ${rule.perChannelRank} only`] : []),
    ...(rule.channelAxis === undefined ? [] : [`weight scales along axis ${rule.channelAxis}`]),
    ...(rule.weights?.granularity ? [`weights with one scale for each ${rule.weights.granularity}`] : []),
    ...(minChannels
      ? [`slower than float below ${minChannels.inputs} input or ${minChannels.outputs} output channels`]
      : []),
    ...(weightsOf ? [`weights of ${weightsOf.kernel.join('×')} convolutions: ${partText(weightsOf.rule)}`] : []),
    ...(fixedOutput ? [`result has scale ${fixedOutput.scale} and zero point ${fixedOutput.zeroPoint}`] : []),
  ]
}

const partText = ({ bits, codes }: Partial<TensorRule>): string =>
  [...(bits ? [`${bits} bits`] : []), ...(codes ? [`codes ${codes.join('…')}`] : [])].join(', ')

function fusionGroups({ fuse }: Target): TargetDescription['fusions'] {
  return fuse.map(({ hosts, chain }) => ({ hosts, chain: chain.join(' → ') }))
}
