import { duration, percent } from '../../util/index.ts'
import { type KernelTime, kernelKind, secondsOf, summarizeKernels } from './kernels.ts'

/** Below this ratio of quantized to float, nobody asks why. */
const FASTER = 0.97
/** A part of the time that is worth a sentence. */
const NOTABLE = 0.15
/** Kernels that are done faster than this are mostly the cost of calling them. */
const TINY_SECONDS = 20e-6
const NAMED = 3

/** The kernels of both networks, where the engine tells. */
export interface Traces {
  readonly float: readonly KernelTime[]
  readonly quantized: readonly KernelTime[]
}

/**
 * Why a quantized network is not faster than its float network, the weightiest reason first; none where it is faster.
 * @param engine its name.
 */
export function slowReasons(ratio: number, engine: string, traces: Traces | undefined): string[] {
  if (ratio < FASTER) return []
  if (/webgpu/.test(engine)) {
    return ['WebGPU has no integer kernels: quantizers run as further shaders around the same float kernels']
  }
  if (/^integer/.test(engine)) return ['this engine shows what hardware computes, and not how fast']
  if (!traces) return ['this engine does not tell what its kernels take: trace the network with node-cpu']
  const found = [
    ...floatReason(traces.quantized),
    ...conversionReason(traces.quantized),
    ...movingReason(traces.quantized),
    ...slowerKernels(traces),
    ...signedReason(traces.quantized),
    ...tinyReason(traces.quantized),
  ]
  return found.length > 0 ? found : ['this processor runs these layers as fast in float as in integers']
}

function floatReason(kernels: readonly KernelTime[]): string[] {
  const { shares, islands } = summarizeKernels(kernels)
  if (shares.float < NOTABLE) return []
  const types = [...new Set(islands.flatMap(({ opTypes }) => opTypes))].slice(0, 2 * NAMED)
  return [`${percent(shares.float, 0)} of the time is in kernels that are left in float (${types.join(', ')})`]
}

function conversionReason(kernels: readonly KernelTime[]): string[] {
  const { shares } = summarizeKernels(kernels)
  if (shares.converts < NOTABLE) return []
  const count = kernels.filter((kernel) => kernelKind(kernel) === 'converts').length
  return [`${percent(shares.converts, 0)} of the time is in ${count} conversions between codes and real values`]
}

function movingReason(kernels: readonly KernelTime[]): string[] {
  const { shares } = summarizeKernels(kernels)
  if (shares.moves < NOTABLE) return []
  const types = new Set(kernels.filter((kernel) => kernelKind(kernel) === 'moves').map(({ opType }) => opType))
  return [`${percent(shares.moves, 0)} of the time is in kernels that hand codes on (${[...types].join(', ')})`]
}

/** Suffixes that ONNX Runtime's rewrites add to the name of a node. */
const REWRITTEN = /(?:_nchwc|_nhwc|_token_\d+|_quant)+$/
export const originOf = (name: string): string => name.replace(REWRITTEN, '')

function slowerKernels({ float, quantized }: Traces): string[] {
  const before = new Map<string, number>()
  for (const { name, seconds } of float) before.set(originOf(name), (before.get(originOf(name)) ?? 0) + seconds)
  const slower = quantized
    .filter((kernel) => kernelKind(kernel) === 'integer')
    .map((kernel) => ({ ...kernel, was: before.get(originOf(kernel.name)) }))
    .filter((k): k is KernelTime & { was: number } => k.was !== undefined && k.seconds > k.was)
    .sort((a, b) => b.seconds - b.was - (a.seconds - a.was))
  const lost = slower.reduce((sum, { seconds, was }) => sum + seconds - was, 0)
  if (lost < NOTABLE * secondsOf(quantized)) return []
  const named = slower.slice(0, NAMED).map(({ name, was, seconds }) => {
    return `${originOf(name)} ${duration(seconds)} instead of ${duration(was)}`
  })
  return [`${slower.length} integer kernels are slower than the float ones: ${named.join(', ')}`]
}

function signedReason(kernels: readonly KernelTime[]): string[] {
  const signed = kernels.filter(
    (k) => kernelKind(k) === 'integer' && k.reads[0] === 'int8' && k.provider.startsWith('CPU'),
  )
  if (signed.length === 0) return []
  return [
    `${signed.length} kernels read signed activations, which processors without signed dot products run slowly: take uint8`,
  ]
}

function tinyReason(kernels: readonly KernelTime[]): string[] {
  const integer = kernels.filter((kernel) => kernelKind(kernel) === 'integer')
  const tiny = integer.filter(({ seconds }) => seconds < TINY_SECONDS)
  if (integer.length === 0 || tiny.length < integer.length / 2) return []
  return [
    `${tiny.length} of ${integer.length} integer kernels take less than ${duration(TINY_SECONDS)}: calling them costs more than they save`,
  ]
}
