import { cloneModel, type Model, type Node } from '../ir/index.ts'
import { addOnCodes } from './add.ts'
import { dequantizedSum } from './dequantized-sums.ts'
import { fixedPointAdd, fixedPointSum, sharedShiftAdd } from './fixed-point-kernels.ts'
import { fixedPointMean } from './fixed-point-mean.ts'
import { averageOnCodes, flooredAverage, type PoolTies } from './pools.ts'
import { realSum } from './real-sums.ts'
import { shiftedSum } from './shifted-sums.ts'
import { sumOnCodes } from './sums.ts'

export interface OnCodesOptions {
  /**
   * How Add requantizes. `ratios`: codes times the ratios of the scales, as ONNX Runtime's QLinearAdd. `fixed-point`: as TensorFlow Lite's
   * own kernel. `shared-shift`: as XNNPACK's. `real` (default): in real values, as the plain simulation.
   */
  readonly add?: keyof typeof ADD_FORMS | 'real'
  /**
   * What becomes of sums. `codes` (default): one factor takes them to the result's grid. `real`: they are multiplied by
   * scale(x) · scale(w), the bias and a residual branch are added in float32, and the result is multiplied by one over its step, as
   * in OpenVINO's kernels; also where no quantizer follows. `shifted`: as in MNN's, whose bias holds what unsigned codes add to a sum.
   * `dequantized`: real values by one over the product of 1/scale(x) and 1/scale(w), as in ncnn's. `fixed-point`: by an integer and a
   * shift, as in TensorFlow Lite's own.
   */
  readonly sums?: keyof typeof SUM_FORMS
  /**
   * How AveragePool and GlobalAveragePool on one grid round ties; `floor`: they do not round, as MNN; absent: in real values, as the
   * plain simulation.
   */
  readonly pools?: PoolTies | 'floor'
  /** The same of ReduceMean; `fixed-point`: it and GlobalAveragePool as TensorFlow Lite's own kernel, on any grids. */
  readonly means?: PoolTies | 'fixed-point'
}

const SUM_FORMS = {
  codes: sumOnCodes,
  real: realSum,
  shifted: shiftedSum,
  dequantized: dequantizedSum,
  'fixed-point': fixedPointSum,
}
const ADD_FORMS = { ratios: addOnCodes, 'fixed-point': fixedPointAdd, 'shared-shift': sharedShiftAdd }
const MEANS: ReadonlySet<string> = new Set(['ReduceMean', 'GlobalAveragePool'])
const POOLS: ReadonlySet<string> = new Set(['AveragePool', 'GlobalAveragePool'])
const SUMS: ReadonlySet<string> = new Set(['Conv', 'Gemm', 'MatMul'])

/**
 * A quantized network (QDQ) whose sums of products run on codes instead of real values: the simulation of integer kernels to the bit.
 *
 * Codes in float32 are whole numbers, and so are sums of their products: exact below 2^24 in any order. Each sum is multiplied once
 * by float32(scale(x) · scale(w)) / scale(y), then rounded, as integer kernels do. Real values in their place round every product, so
 * that about one result in 100,000 falls on the other side of a tie, and a deep network amplifies that.
 *
 * Operators that do not sum products keep their form. Run the result with quantizers unfused (`simulate`).
 */
export function onCodes(quantized: Model, { add = 'real', sums = 'codes', pools, means }: OnCodesOptions = {}): Model {
  const model = cloneModel(quantized)
  for (const node of [...model.graph.nodes]) {
    if (SUMS.has(node.opType)) SUM_FORMS[sums](node)
    else if (node.opType === 'Add' && add !== 'real') ADD_FORMS[add](node)
    else if (means === 'fixed-point' && MEANS.has(node.opType)) fixedPointMean(node)
    else if (POOLS.has(node.opType)) average(node, pools)
    else if (node.opType === 'ReduceMean' && means !== 'fixed-point') average(node, means)
  }
  return model
}

function average(node: Node, form: OnCodesOptions['pools']): void {
  if (form === 'floor') flooredAverage(node)
  else if (form) averageOnCodes(node, form)
}
