import type { LoadOptions } from '../engine.ts'
import type { OrtSessionOptions } from './bindings.ts'

const LEVELS = { none: 'disabled', basic: 'basic', all: 'all', simulate: 'all' } as const

/** Key of onnxruntime_session_options_config_keys.h: leave QuantizeLinear/DequantizeLinear pairs as they are. */
const SIMULATE = { session: { disable_quant_qdq: '1' } }

/** Log only errors: warnings (unused initializers, shape merges) are about the user's model and not actionable here. */
const ERRORS_ONLY = 3

export function ortSessionOptions(options: LoadOptions): OrtSessionOptions {
  const { optimization = 'all', threads, providers, arena, memoryPattern, profile, saveOptimized } = options
  return {
    graphOptimizationLevel: LEVELS[optimization],
    logSeverityLevel: ERRORS_ONLY,
    ...(optimization === 'simulate' && { extra: SIMULATE }),
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(providers !== undefined && { executionProviders: [...providers] }),
    ...(memoryPattern === false && { enableMemPattern: false }),
    // The memory pattern preallocates what the arena would, so it goes with it.
    ...(arena === false && { enableCpuMemArena: false, enableMemPattern: false }),
    ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
    ...(saveOptimized !== undefined && { optimizedModelFilePath: saveOptimized }),
  }
}
