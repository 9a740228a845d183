/** A tensor of ONNX Runtime's JavaScript interface. */
export interface OrtValue {
  readonly type: string
  readonly dims: readonly number[]
  readonly data: unknown
}

export interface OrtMetadata {
  readonly name: string
  readonly isTensor: boolean
  /** With `isTensor` only. */
  readonly type?: string
  readonly shape?: readonly (number | string)[]
}

/** A session of ONNX Runtime's JavaScript interface. */
export interface OrtInferenceSession {
  readonly inputMetadata: readonly OrtMetadata[]
  readonly outputMetadata: readonly OrtMetadata[]
  run(feeds: Record<string, OrtValue>, wanted: readonly string[]): Promise<Readonly<Record<string, OrtValue>>>
  endProfiling(): void
  release(): Promise<void>
}

/**
 * What a build of ONNX Runtime brings. The builds for Node and for browsers have one interface but are different modules, and core imports
 * neither.
 */
export interface OrtBindings {
  readonly create: (model: Uint8Array | string, options: OrtSessionOptions) => Promise<OrtInferenceSession>
  readonly tensor: (type: string, data: unknown, dims: readonly number[]) => OrtValue
}

/** The session options that `LoadOptions` become. */
export interface OrtSessionOptions {
  graphOptimizationLevel: 'disabled' | 'basic' | 'all'
  logSeverityLevel: 0 | 1 | 2 | 3 | 4
  extra?: Record<string, unknown>
  intraOpNumThreads?: number
  executionProviders?: string[]
  enableCpuMemArena?: boolean
  enableMemPattern?: boolean
  enableProfiling?: boolean
  profileFilePrefix?: string
  optimizedModelFilePath?: string
}
