import type { NodePlan, ParamSource, QuantPlan, TensorPlan } from './plan.ts'
import { type QuantSpec, storageDType } from './spec.ts'

/** A plan for people and goldens: one line for each node in graph order, one for each tensor. Deterministic. */
export function planToText(plan: QuantPlan): string {
  const lines = [
    `plan ${plan.target} ${plan.scheme}`,
    ...plan.nodes.map(nodeLine),
    ...plan.tensors.map(tensorLine),
    ...plan.diagnostics.map((d) => `${d.level} ${d.code}`),
  ]
  return `${lines.join('\n')}\n`
}

const nodeLine = ({ node, opType, decision, reason, macs }: NodePlan): string =>
  `node ${node} ${opType}: ${decision} ${reason.code}${macs === undefined ? '' : ` macs=${macs}`}`

function tensorLine(t: TensorPlan): string {
  const group = t.group === t.value ? '' : ` group=${t.group}`
  const output = t.graphOutput ? ' + output' : ''
  const within = t.within ? ` within=[${t.within.lo ?? ''},${t.within.hi ?? ''}]` : ''
  return `${t.role} ${t.value}: ${specText(t.spec)} ${sourceText(t.source)}${group}${within} -> ${t.readers.join(' ')}${output}`
}

/** `uint8 affine per-tensor`, `int8 symmetric per-channel(0)`, `int8 -31…31 symmetric per-tensor power-of-two(ceil) half-up`. */
export function specText(spec: QuantSpec): string {
  const { granularity, symmetric, powerOfTwo, rounding, reciprocal, format } = spec
  const bits = spec.bits === 8 || spec.bits === 16 || spec.bits === 32 || spec.bits === 4 ? '' : ` (${spec.bits} bits)`
  return [
    `${storageDType(spec)}${bits}${codesText(spec)}`,
    symmetric ? 'symmetric' : 'affine',
    granularityText(granularity),
    ...(format ? [format.kind] : []),
    ...(powerOfTwo ? [`power-of-two(${powerOfTwo})`] : []),
    ...(rounding ? [rounding] : []),
    ...(reciprocal ? ['by-reciprocal'] : []),
  ].join(' ')
}

/** Codes where they are neither all of the width nor all but the lowest. */
function codesText({ bits, signed, quantMin, quantMax }: QuantSpec): string {
  const [min, max] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1]
  const usual = quantMax === max && (quantMin === min || (signed && quantMin === min + 1))
  return usual ? '' : ` ${quantMin}…${quantMax}`
}

function granularityText(g: QuantSpec['granularity']): string {
  if (g.kind === 'tensor') return 'per-tensor'
  return g.kind === 'channel' ? `per-channel(${g.axis})` : `per-group(${g.size} along ${g.axis})`
}

export function sourceText(source: ParamSource): string {
  switch (source.kind) {
    case 'calibrate':
      return `measured by ${source.observer}`
    case 'fixed':
      return `fixed [${source.range.lo}, ${source.range.hi}]`
    case 'follow':
      return `follows ${source.value}`
    case 'weight':
      return `constant by ${source.observer}`
    case 'bias':
      return `scale of ${source.input} × scale of ${source.weight}`
    case 'imported':
      return 'parameters of the file'
  }
}
