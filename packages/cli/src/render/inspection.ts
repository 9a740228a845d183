import type { Inspection } from '@fewbit/core/pipeline'
import { bytes, count, formatDiagnostic } from '@fewbit/core/util'
import { table } from './table.ts'

export interface InspectedFile {
  readonly file: string
  readonly bytes: number
  readonly inspection: Inspection
}

const shapeText = (shape: Inspection['inputs'][number]['shape']): string =>
  shape ? `[${shape.map((d) => d ?? '?').join(', ')}]` : '[…]'

const ports = (list: Inspection['inputs']): string =>
  list.map((p) => `${p.name} ${p.dtype}${shapeText(p.shape)}`).join('\n')

/** One column for each model. */
export function renderInspections(files: readonly InspectedFile[]): string {
  const row = (name: string, cell: (f: InspectedFile) => string): string[] => [name, ...files.map(cell)]
  const facts = [
    row('file size', (f) => bytes(f.bytes)),
    row('producer', ({ inspection: i }) => i.producer || '–'),
    row('opset', ({ inspection: i }) =>
      Object.entries(i.opsets)
        .map(([d, v]) => `${d} ${v}`)
        .join(', '),
    ),
    row('IR version', ({ inspection: i }) => String(i.irVersion)),
    row('parameters', ({ inspection: i }) => count(i.parameters)),
    row('constants', ({ inspection: i }) => bytes(i.constantBytes)),
    row('MACs', ({ inspection: i }) => macs(i)),
    row('nodes', ({ inspection: i }) => String(i.nodes)),
    row('quantizers', ({ inspection: i }) => (i.quantizers > 0 ? String(i.quantizers) : 'none (float model)')),
    row('inputs', ({ inspection: i }) => ports(i.inputs)),
    row('outputs', ({ inspection: i }) => ports(i.outputs)),
    row('open dimensions', ({ inspection: i }) => i.dynamicDims.join('\n') || 'none'),
    row('unsupported', ({ inspection: i }) => i.unsupported.join('\n') || 'none'),
  ]
  const head = ['', ...files.map((f) => f.file)]
  return [
    table(head, facts),
    '',
    table(['operator', ...files.map((f) => f.file)], operators(files)),
    ...notes(files),
  ].join('\n')
}

function macs({ macs: known, macsUnknown }: Inspection): string {
  if (macsUnknown.length === 0) return count(known)
  return `${count(known)} + ${macsUnknown.length} nodes with open shapes`
}

function operators(files: readonly InspectedFile[]): string[][] {
  const types = new Set(files.flatMap((f) => Object.keys(f.inspection.operators)))
  return [...types].map((type) => [type, ...files.map((f) => String(f.inspection.operators[type] ?? '–'))])
}

const notes = (files: readonly InspectedFile[]): string[] =>
  files.flatMap((f) => f.inspection.diagnostics.map((d) => `\n${formatDiagnostic(d)}`))
