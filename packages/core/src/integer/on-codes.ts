import { cloneModel, type Model } from '../ir/index.ts'
import { addOnCodes } from './add.ts'
import { averageOnCodes, type PoolTies } from './pools.ts'
import { realSum } from './real-sums.ts'
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
   * in OpenVINO's kernels; also where no quantizer follows.
   */
  readonly sums?: 'codes' | 'real'
  /** How AveragePool and GlobalAveragePool on one grid round ties; absent: in real values, as the plain simulation. */
  readonly pools?: PoolTies
  /** The same of ReduceMean. */
  readonly means?: PoolTies
}

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
    if (SUMS.has(node.opType)) (sums === 'real' ? realSum : sumOnCodes)(node)
    else if (node.opType === 'Add' && add === 'ratios') addOnCodes(node)
    else if (pools && POOLS.has(node.opType)) averageOnCodes(node, pools)
    else if (means && node.opType === 'ReduceMean') averageOnCodes(node, means)
  }
  return model
}
