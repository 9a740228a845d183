import type { FloatNode, SumBound } from '@fewbit/core/integer'
import type { IntegerReport, LayerAgreement } from '@fewbit/core/pipeline'
import { duration, formatDiagnostic } from '@fewbit/core/util'
import { table } from './table.ts'

/** Layers that are listed at most. */
const LISTED = 12

/** What a run in whole numbers has to say. */
export function integerText(file: string, report: IntegerReport): string {
  const { samples, data, title, layers, agreement, outputs, secondsPerSample } = report
  const same = agreement.filter(({ different }) => different === 0).length
  const summary = [
    ['layers in whole numbers', String(layers)],
    ['layers with the codes of ONNX Runtime', `${same} of ${agreement.length}`],
    ...outputs.map(({ output, elements, different, worstReal }) => [
      `output ${output}`,
      different === 0
        ? `equal, ${elements} elements`
        : `${different} of ${elements} differ, by up to ${figure(worstReal)}`,
    ]),
    ['time per sample', duration(secondsPerSample)],
  ]
  return [
    `${file} in the arithmetic of ${title}, ${samples} samples of ${data}`,
    table([], summary),
    ...differing(agreement),
    ...floatLines(report.floats),
    boundLine(report.bounds),
    ...pairLines(report.bounds),
    ...report.diagnostics.map(formatDiagnostic),
  ].join('\n')
}

const figure = (x: number): string => x.toPrecision(3)

/** Layers whose codes differ, in the order of the network: the first is where it begins. */
function differing(agreement: readonly LayerAgreement[]): string[] {
  const rows = agreement.filter(({ different }) => different > 0)
  if (rows.length === 0) return []
  const lines = rows
    .slice(0, LISTED)
    .map(({ node, opType, different, elements, worst }) => [
      opType,
      node,
      `${figure((100 * different) / elements)} %`,
      `${worst} LSB`,
    ])
  const more = rows.length > LISTED ? [`… and ${rows.length - LISTED} more, see --json`] : []
  return ['', table(['layer', '', 'codes that differ', 'by up to'], lines, ['left', 'left', 'right', 'right']), ...more]
}

function floatLines(floats: readonly FloatNode[]): string[] {
  if (floats.length === 0) return ['', 'nothing runs in float']
  const lines = floats.slice(0, LISTED).map(({ opType, node, reason }) => `  ${opType} ${node}: ${reason}`)
  return ['', `${floats.length} nodes run in float`, ...lines, ...(floats.length > LISTED ? ['  …'] : [])]
}

function boundLine(bounds: readonly SumBound[]): string {
  const [tightest] = [...bounds].sort((a, b) => a.headroomBits - b.headroomBits)
  if (!tightest) return ''
  const { node, headroomBits } = tightest
  return headroomBits >= 0
    ? `no sum can leave int32, whatever the input: ${headroomBits.toFixed(1)} bits are left at ${node}`
    : `sums of ${node} can leave int32, by ${(-headroomBits).toFixed(1)} bits, for inputs that there may be`
}

/** What processors without VNNI would make of it. */
function pairLines(bounds: readonly SumBound[]): string[] {
  const risky = bounds.filter(({ saturablePairs }) => (saturablePairs ?? 0) > 0)
  if (risky.length === 0) return []
  return [
    `on x86 without VNNI, pairs of products in ${risky.length} layers could saturate 16 bits: --integer ort-pairs shows what that does`,
  ]
}
