/** One kernel that an engine ran, as its own trace tells it. JSON. */
export interface KernelTime {
  /** The engine's name for it; usually that of the node that it comes from. */
  readonly name: string
  readonly opType: string
  readonly provider: string
  /** Of one run. */
  readonly seconds: number
  /** Element types of its inputs and outputs. */
  readonly reads: readonly string[]
  readonly makes: readonly string[]
}

/**
 * What a kernel does in a quantized network. `integer`: it computes on codes. `moves`: it hands codes on. `converts`: between codes and real
 * values, or between layouts of memory. `float`: it computes on real values.
 */
export type KernelKind = 'integer' | 'moves' | 'converts' | 'float' | 'other'

const CONVERTERS = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'Cast',
  'ReorderInput',
  'ReorderOutput',
])
/** ONNX Runtime's integer operators, and those of ONNX. */
const INTEGER =
  /^(?:QLinear\w+|Q(?:Gemm|Attention|OrderedMatMul|MoE)|\w*Integer\w*|MatMulNBits|DynamicQuantizeMatMul|DynamicQuantizeLSTM)$/

const isReal = (dtype: string | undefined): boolean => /^(?:float|double|bfloat)/.test(dtype ?? '')
const isCodes = (dtype: string | undefined): boolean => /^u?int(?:8|16|4|2)$/.test(dtype ?? '')

export function kernelKind({ opType, reads, makes }: KernelTime): KernelKind {
  if (CONVERTERS.has(opType)) return 'converts'
  if (INTEGER.test(opType)) return 'integer'
  if (isCodes(makes[0]) && isCodes(reads[0])) return 'moves'
  return isReal(makes[0]) || reads.some(isReal) ? 'float' : 'other'
}

/** Neighbouring kernels, in the order of the run, that compute on real values between kernels on codes. JSON. */
export interface FloatIsland {
  readonly kernels: readonly string[]
  readonly opTypes: readonly string[]
  readonly seconds: number
}

/** The parts of the run in float. A converter between two of them is not the end of an island. */
export function floatIslands(kernels: readonly KernelTime[]): FloatIsland[] {
  const islands: KernelTime[][] = []
  let isOpen = false
  for (const kernel of kernels) {
    const kind = kernelKind(kernel)
    if (kind === 'float' && !isOpen) islands.push([])
    if (kind === 'float') islands.at(-1)?.push(kernel)
    // A converter may stand between two kernels in float.
    if (kind !== 'converts' && kind !== 'other') isOpen = kind === 'float'
  }
  return islands.map((island) => ({
    kernels: island.map(({ name }) => name),
    opTypes: [...new Set(island.map(({ opType }) => opType))],
    seconds: secondsOf(island),
  }))
}

export const secondsOf = (kernels: readonly KernelTime[]): number =>
  kernels.reduce((sum, { seconds }) => sum + seconds, 0)

/** What the engine made of a quantized network. JSON. */
export interface KernelSummary {
  /** Kernels on codes, with the node that they come from. */
  readonly integer: readonly KernelTime[]
  readonly islands: readonly FloatIsland[]
  /** Share of the time in each kind of kernel. */
  readonly shares: Readonly<Record<KernelKind, number>>
}

export function summarizeKernels(kernels: readonly KernelTime[]): KernelSummary {
  const total = secondsOf(kernels) || 1
  const share = (kind: KernelKind): number => secondsOf(kernels.filter((k) => kernelKind(k) === kind)) / total
  return {
    integer: kernels.filter((kernel) => kernelKind(kernel) === 'integer'),
    islands: floatIslands(kernels),
    shares: {
      integer: share('integer'),
      moves: share('moves'),
      converts: share('converts'),
      float: share('float'),
      other: share('other'),
    },
  }
}
