import { type Diagnostic, Diagnostics, type DType, dtypeInfo, integerRange, must } from '../util/index.ts'
import { isBinary } from './formats/index.ts'
import type { ParamsTable, QuantPlan, TensorPlan } from './plan.ts'
import { powerOfTwo } from './power-of-two.ts'
import { type QuantParams, type QuantSpec, storageDType } from './spec.ts'

/**
 * `qdq`: QuantizeLinear and DequantizeLinear in the plan's own types, which runtimes take. `simulate`: the same numbers on any engine and
 * from opset 13 on: pairs where they are exact, ordinary nodes and rounded float constants where they are not.
 */
export type QuantForm = 'qdq' | 'simulate'

/** The lowest opset whose operators can say what the plan wants. */
export function requiredOpset(plan: QuantPlan, form: QuantForm = 'qdq'): number {
  if (form === 'simulate') return 13
  const even = plan.tensors.filter(({ spec }) => !isUneven(spec))
  return Math.max(13, ...even.map(({ role, spec }) => pairOpset(pairType(role, spec), spec)))
}

/**
 * The type in files. Activations whose codes end before a narrow type does take 8 bits: ONNX Runtime 1.30 does not load a Clip before a
 * QuantizeLinear to 4 or 2 bits.
 */
function pairType(role: TensorPlan['role'], spec: QuantSpec): DType {
  const own = storageDType(spec)
  return role === 'activation' && spec.granularity.kind === 'tensor' && endsEarly(spec, own) ? wideType(spec) : own
}

/** Whether the codes end before their type does. */
export function endsEarly({ quantMin, quantMax }: QuantSpec, dtype: DType): boolean {
  const type = integerRange(dtype)
  return type !== undefined && (type.min !== quantMin || type.max !== quantMax)
}

/** Narrow codes fit 8 bits. */
const wideType = (spec: QuantSpec): DType => storageDType({ ...spec, bits: Math.max(spec.bits, 8) })

/** Scales along an axis: 13. Types of 8-bit floats: 19. Integers of 4 and 16 bits, and blocks: 21. 4-bit floats: 23. 2 bits: 25. */
function pairOpset(dtype: DType, { granularity }: QuantSpec): number {
  const { bits, kind } = dtypeInfo(dtype)
  if (bits === 2) return 25
  if (kind === 'float' && bits === 4) return 23
  if (bits === 4 || bits === 16 || granularity.kind === 'group') return 21
  return kind === 'float' ? 19 : 13
}

/** The type of a tensor's codes where a form has codes of it, and otherwise nothing. */
export function codeType(tensor: TensorPlan, params: QuantParams, form: QuantForm, opset: number): DType | undefined {
  const { spec } = params
  if (pairObstacle(tensor, params)) return undefined
  // No integer type has −1 and 1 alone.
  if (isBinary(spec.format)) return 'int8'
  if (form === 'qdq') return pairType(tensor.role, spec)
  // ONNX Runtime 1.30 quantizes blocks by way of int32 and wraps around beyond 2^31 steps.
  if (tensor.role === 'activation' && spec.granularity.kind === 'group') return undefined
  // Every engine has kernels of 8 bits. ONNX Runtime 1.30 has none of 4-bit floats on a CPU.
  const dtype = wideType(spec)
  return dtype !== 'float4e2m1' && pairOpset(dtype, spec) <= opset ? dtype : undefined
}

/**
 * What QuantizeLinear and DequantizeLinear cannot say of a plan: MATERIALIZE_FORM, an error for each tensor.
 * @param params for every group of the plan.
 */
export function qdqObstacles(plan: QuantPlan, params: ParamsTable): readonly Diagnostic[] {
  const found = new Diagnostics()
  for (const tensor of plan.tensors) {
    const { group, value } = tensor
    const obstacle = pairObstacle(tensor, must(params.get(group), `parameters of "${group}"`))
    if (!obstacle) continue
    found.error('MATERIALIZE_FORM', `QuantizeLinear cannot say how "${value}" is quantized: ${obstacle}`, {
      at: { value },
      fix: 'simulate, or export in a form of the backend itself',
    })
  }
  return found.list
}

const UNEVEN = 'its numbers are neither integers nor floats'

const isUneven = ({ format }: QuantSpec): boolean => format?.kind === 'log2' || format?.kind === 'levels'

/** Whether a plan has numbers of which no ONNX type holds codes. The signs of binary weights are integers. */
export const hasUneven = ({ tensors }: QuantPlan): boolean =>
  tensors.some(({ role, spec }) => isUneven(spec) && (role === 'activation' || !isBinary(spec.format)))

/** Constants are only dequantized: how their codes were found is over by then. Signs are the integers −1 and 1. */
function pairObstacle({ role }: TensorPlan, params: QuantParams): string | undefined {
  const { spec } = params
  if (role === 'activation') return qdqObstacle(spec, params)
  return isUneven(spec) && !isBinary(spec.format) ? UNEVEN : undefined
}

/**
 * Why QuantizeLinear does not compute what a spec says; undefined where it does. It divides, rounds half to even, and adds the zero
 * point then. The reciprocal of a power of two is exact, and a zero point of 0 can be added at any time.
 */
export function qdqObstacle(spec: QuantSpec, { scale, zeroPoint }: QuantParams): string | undefined {
  const { rounding = 'half-even' } = spec
  if (isUneven(spec)) return UNEVEN
  const isFactor = (s: number) => s === powerOfTwo(s, 'floor')
  if (spec.reciprocal && !scale.every(isFactor)) return 'it multiplies by the reciprocal of the scale'
  if (spec.format) return undefined
  if (rounding !== 'half-even') return `it rounds ${rounding}`
  return spec.addThenRound && zeroPoint.some((z) => z !== 0) ? 'it adds the zero point before rounding' : undefined
}
