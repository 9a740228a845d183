import type { Scheme } from '../scheme.ts'
import { cmsis } from './cmsis-nn.ts'
import { fbgemm } from './fbgemm.ts'
import { megengine } from './megengine.ts'
import { ort, ortPairs } from './ort.ts'
import { pot, potAway, potEven, potFloor } from './power-of-two.ts'
import { tflite, tfliteSingle } from './tflite.ts'

/** Arithmetics of hardware that a quantized network can be run in. */
export const SCHEMES = {
  ort,
  'ort-pairs': ortPairs,
  fbgemm,
  tflite,
  'tflite-single': tfliteSingle,
  cmsis,
  megengine,
  pot,
  'pot-half-even': potEven,
  'pot-half-away': potAway,
  'pot-floor': potFloor,
} as const satisfies Readonly<Record<string, Scheme>>

export type SchemeName = keyof typeof SCHEMES
