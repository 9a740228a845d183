import { cloneModel, type Model } from '../ir/index.ts'
import { addOnCodes } from './add.ts'
import { dequantizedSum } from './dequantized-sums.ts'
import { averageOnCodes, flooredAverage, type PoolTies } from './pools.ts'
import { realSum } from './real-sums.ts'
import { shiftedSum } from './shifted-sums.ts'
import { sumOnCodes } from './sums.ts'

export interface OnCodesOptions {
  /**
   * How Add requantizes. `ratios`: codes times the ratios of the scales, as ONNX Runtime's QLinearAdd. `real` (default): in real
   * values, as the plain simulation.
   */
  readonly add?: 'ratios' | 'real'
  /**
   * What becomes of sums. `codes` (default): one factor takes them to the result's grid. `real`: they are multiplied by
   * scale(x) · scale(w), the bias and a residual branch are added in float32, and the result is multiplied by one over its step, as
   * in OpenVINO's kernels; also where no quantizer follows. `shifted`: as in MNN's, whose bias holds what unsigned codes add to a sum.
   * `dequantized`: real values by one over the product of 1/scale(x) and 1/scale(w), as in ncnn's.
   */
  readonly sums?: keyof typeof SUM_FORMS
  /**
   * How AveragePool and GlobalAveragePool on one grid round ties; `floor`: they do not round, as MNN; absent: in real values, as the
   * plain simulation.
   */
  readonly pools?: PoolTies | 'floor'
  /** The same of ReduceMean. */
  readonly means?: PoolTies
}

const SUM_FORMS = { codes: sumOnCodes, real: realSum, shifted: shiftedSum, dequantized: dequantizedSum }
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
    else if (node.opType === 'Add' && add === 'ratios') addOnCodes(node)
    else if (pools && POOLS.has(node.opType)) pools === 'floor' ? flooredAverage(node) : averageOnCodes(node, pools)
    else if (means && node.opType === 'ReduceMean') averageOnCodes(node, means)
  }
  return model
}
