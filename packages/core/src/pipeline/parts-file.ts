import type { FinishedPart } from '../algorithms/index.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../training/index.ts'
import { must, problem } from '../util/index.ts'

/** One algorithm's part of a checkpoint. */
export interface AlgorithmParts {
  /** Digest of the network that it began with. */
  readonly start: string
  readonly parts: readonly FinishedPart[]
}

/** What a checkpoint of a quantization holds. */
export interface SavedParts {
  /** Model, options and versions. JSON. */
  readonly run: Readonly<Record<string, unknown>>
  /** Digest of the calibration data. */
  readonly data: string
  readonly algorithms: ReadonlyMap<string, AlgorithmParts>
}

/** The checkpoint's record of an algorithm; tensors stand beside it. */
interface Entry {
  readonly algorithm: string
  readonly start: string
  readonly parts: readonly { readonly facts: FinishedPart['facts']; readonly tensors: readonly string[] }[]
}

const keyOf = (algorithm: string, part: number, name: string): string => `${algorithm}/${part}/${name}`

/** As a checkpoint whose steps are parts. */
export function encodeParts({ run, data, algorithms }: SavedParts): Uint8Array {
  const tensors = [...algorithms].flatMap(([algorithm, { parts }]) =>
    parts.flatMap((part, i) => [...part.tensors].map(([name, t]) => [keyOf(algorithm, i, name), t] as const)),
  )
  const loop = [...algorithms].map(
    ([algorithm, { start, parts }]): Entry => ({
      ...{ algorithm, start },
      parts: parts.map(({ facts, tensors: own }) => ({ facts, tensors: [...own.keys()] })),
    }),
  )
  const steps = loop.reduce((n, { parts }) => n + parts.length, 0)
  return encodeCheckpoint({ steps, tensors: new Map(tensors), settings: { run, data }, loop })
}

/** @throws FewbitError CHECKPOINT_FORMAT for what is no checkpoint of a quantization; SAFETENSORS_* for damaged files. */
export function decodeParts(bytes: Uint8Array): SavedParts {
  const { settings, loop, tensors } = decodeCheckpoint(bytes)
  const { run, data } = settings as Partial<SavedParts>
  if (!run || data === undefined || !Array.isArray(loop)) {
    throw problem('CHECKPOINT_FORMAT', 'the checkpoint is not one of a quantization', {
      fix: 'give the file that the run wrote, or begin anew',
    })
  }
  const algorithms = (loop as Entry[]).map(({ algorithm, start, parts }) => {
    const found = parts.map(({ facts, tensors: names }, i) => ({
      facts,
      tensors: new Map(names.map((name) => [name, must(tensors.get(keyOf(algorithm, i, name)), name)])),
    }))
    return [algorithm, { start, parts: found }] as const
  })
  return { run, data, algorithms: new Map(algorithms) }
}
