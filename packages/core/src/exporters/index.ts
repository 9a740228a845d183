import type { Exporter } from './define.ts'
import { qdq } from './qdq.ts'

/** Forms that a quantized network is written in, by name. */
export const EXPORTERS = { qdq } as const satisfies Record<string, Exporter>

export type ExporterName = keyof typeof EXPORTERS

export { complete, type Demands, type Holds } from './completeness.ts'
export * from './define.ts'
export { activationEncodings, type Encoding, planned } from './encodings.ts'
export { qdq } from './qdq.ts'
