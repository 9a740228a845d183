import { quantizeMultiplier } from '../../../util/index.ts'
import type { Scheme } from '../scheme.ts'
import { type Fix, fixedPointScheme } from './fixed-point-scheme.ts'

/** Rounded twice; the second time vector instructions take halves up, and scalar code away from zero. */
const twice: Fix = (real, lane) => ({ ...quantizeMultiplier(real), ties: lane === 'vector' ? 'up' : 'away' })

const f = Math.fround
/** Scales are multiplied and divided as float32 (tensorflow/lite/kernels/mul.cc). */
const product = (a: number, b: number, result: number): number => f(f(a * b) / result)

const once: Fix = (real) => ({ ...quantizeMultiplier(real), ties: 'once' })

/** LiteRT's own kernels on x86. */
export const tflite: Scheme = fixedPointScheme({
  name: 'tflite',
  title: 'TensorFlow Lite, own kernels',
  summary: 'a multiplier of 31 bits and a shift, rounded after each',
  source: 'Jacob et al., section 2.2; tensorflow/lite/kernels/internal (common.h, optimized/integer_ops)',
  fix: twice,
  product,
  lanes: { depthwise: 8, mean: 16 },
})

/** The same where TensorFlow Lite is built to round once. */
export const tfliteSingle: Scheme = fixedPointScheme({
  name: 'tflite-single',
  title: 'TensorFlow Lite with TFLITE_SINGLE_ROUNDING',
  summary: 'a multiplier of 31 bits and a shift, rounded once, halves up',
  source: 'tensorflow/lite/kernels/internal/common.h, TFLITE_SINGLE_ROUNDING',
  fix: once,
  product,
  lanes: { depthwise: 0, mean: 0 },
})
