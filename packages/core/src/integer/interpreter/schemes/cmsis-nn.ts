import { quantizeMultiplier } from '../../../util/index.ts'
import type { Scheme } from '../scheme.ts'
import { type Fix, fixedPointScheme, meanOfCodes } from './fixed-point-scheme.ts'

/** Rounded twice, the second time away from zero in every lane (`arm_nn_requantize`). */
const twice: Fix = (real) => ({ ...quantizeMultiplier(real), ties: 'away' })

const { softmax: _, ...shared } = fixedPointScheme({
  name: 'cmsis',
  title: 'CMSIS-NN',
  summary: 'a multiplier of 31 bits and a shift, rounded after each, halves of the second away from zero',
  source:
    'CMSIS-NN 7: Include/arm_nnsupportfunctions.h (arm_nn_requantize), Source/BasicMathFunctions, Source/PoolingFunctions',
  fix: twice,
  product: (a, b, result) => (a * b) / result,
  lanes: { depthwise: 0, mean: 0 },
})

/** Means are averages over one window there: the grid stays. Softmax is in fixed point of its own, and is left to float. */
export const cmsis: Scheme = {
  ...shared,
  mean({ input, output, count }) {
    const mean = meanOfCodes(input, output)
    return typeof mean === 'string' ? mean : (sum) => mean(sum, count)
  },
}
