import { asTensor, type Model, type Shape, type Value } from '../ir/index.ts'
import { type DType, problem } from '../util/index.ts'
import type { SessionValue } from './engine.ts'

/** What a dataset has to know of one model input. `shape` is undefined where even the rank is open. */
export interface ModelInput {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape | undefined
}

/**
 * The inputs that must be fed: graph inputs without a default.
 * @throws FewbitError DATA_INPUT for an input that is not a tensor.
 */
export function modelInputs(model: Model): ModelInput[] {
  return model.graph.inputs
    .filter((value) => !value.constant)
    .map((value) => {
      const type = asTensor(value.type)
      if (!type)
        throw problem('DATA_INPUT', `input "${value.name}" is not a dense tensor`, { at: { value: value.name } })
      return { name: value.name, dtype: type.dtype, shape: type.shape }
    })
}

/** An input or output as a session shows it, as far as the graph says; unknown sizes are empty names. */
export function sessionValue(value: Value): SessionValue {
  const type = asTensor(value.type)
  return { name: value.name, dtype: type?.dtype ?? 'unknown', shape: (type?.shape ?? []).map((dim) => dim ?? '') }
}

/** `float32[N,3,32,32]`, with `?` for unknown dimensions. */
export function formatType(dtype: string, shape: Shape | undefined): string {
  return `${dtype}[${shape ? shape.map((d) => d ?? '?').join(',') : '…'}]`
}
