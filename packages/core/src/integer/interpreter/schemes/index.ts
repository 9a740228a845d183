import type { Scheme } from '../scheme.ts'
import { ort } from './ort.ts'

/** Arithmetics of hardware that a quantized network can be run in. */
export const SCHEMES = { ort } as const satisfies Readonly<Record<string, Scheme>>

export type SchemeName = keyof typeof SCHEMES
