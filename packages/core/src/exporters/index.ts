import type { Exporter } from './define.ts'
import { dynamic } from './dynamic/dynamic.ts'
import { openvino } from './openvino.ts'
import { qdq } from './qdq.ts'
import { qoperator } from './qoperator/qoperator.ts'

/** Forms that a quantized network is written in, by name. */
export const EXPORTERS = { qdq, qoperator, dynamic, openvino } as const satisfies Record<string, Exporter>

export type ExporterName = keyof typeof EXPORTERS

export { complete, type Demands, type Holds } from './completeness.ts'
export * from './define.ts'
export { dynamic } from './dynamic/dynamic.ts'
export { activationEncodings, type Encoding, planned } from './encodings.ts'
export { openvino } from './openvino.ts'
export { qdq } from './qdq.ts'
export { qoperator } from './qoperator/qoperator.ts'
