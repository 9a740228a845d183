import type { Tensor } from '../ir/index.ts'
import { digest, problem } from '../util/index.ts'
import { readSafetensors, writeSafetensors } from '../weights/index.ts'

/** What a run needs to go on where it stopped. */
export interface Checkpoint {
  /** Steps that were made. */
  readonly steps: number
  /** Of the run, by name of the entry, and whatever else its owner keeps. */
  readonly tensors: ReadonlyMap<string, Tensor>
  /** What must be the same for the run to go on. JSON. */
  readonly settings: Readonly<Record<string, unknown>>
  /** What the loop remembers: history, best values. JSON. */
  readonly loop: unknown
  /** Programs that wrote it, for people. */
  readonly versions?: Readonly<Record<string, string>>
}

const FORMAT = 'fewbit-checkpoint'
const VERSION = '1'

/** A safetensors file: tensors by name, everything else as JSON in its metadata. */
export function encodeCheckpoint({ steps, tensors, settings, loop, versions = {} }: Checkpoint): Uint8Array {
  const text = JSON.stringify(settings)
  return writeSafetensors(tensors, {
    format: FORMAT,
    version: VERSION,
    steps: String(steps),
    settings: text,
    digest: digest(text),
    loop: JSON.stringify(loop),
    versions: JSON.stringify(versions),
  })
}

/** @throws FewbitError CHECKPOINT_FORMAT for what is no checkpoint; SAFETENSORS_* for damaged files. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = readSafetensors(bytes)
  const { format, version, steps, settings, loop, versions } = metadata
  if (format !== FORMAT) throw bad('the file is no checkpoint')
  if (version !== VERSION) throw bad(`the checkpoint has version ${version}, and this program reads ${VERSION}`)
  if (!settings || !steps || !loop) throw bad('the checkpoint is not complete')
  if (digest(settings) !== metadata.digest) throw bad('the settings of the checkpoint were changed')
  return {
    steps: Number(steps),
    tensors,
    settings: JSON.parse(settings),
    loop: JSON.parse(loop),
    versions: JSON.parse(versions ?? '{}'),
  }
}

/** @throws FewbitError CHECKPOINT_OTHER naming the settings that differ. */
export function checkSettings(
  saved: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): void {
  const keys = [...new Set([...Object.keys(saved), ...Object.keys(wanted)])]
  const text = (value: unknown): string => JSON.stringify(value) ?? 'nothing'
  const different = keys.filter((key) => text(saved[key]) !== text(wanted[key]))
  if (different.length === 0) return
  throw problem('CHECKPOINT_OTHER', `the checkpoint was made with other settings: ${different.join(', ')}`, {
    notes: different.map((key) => `${key}: ${text(saved[key])} then, ${text(wanted[key])} now`),
    fix: 'go on with the same settings, or begin anew without the checkpoint',
  })
}

const bad = (message: string): Error =>
  problem('CHECKPOINT_FORMAT', message, { fix: 'give the file that the run wrote, or begin anew' })
