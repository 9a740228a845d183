import { problem } from '../util/index.ts'
import type { Run } from './run.ts'

/** Where a run keeps its checkpoint, for a later run to go on from. */
export interface CheckpointMemory {
  /** Names the place in messages, such as a file. */
  readonly name: string
  load(): Promise<Uint8Array | undefined>
  /** Replaces the last one as a whole. */
  save(checkpoint: Uint8Array): Promise<void>
}

export interface Resuming {
  readonly memory?: CheckpointMemory | undefined
  /** Goes on from the checkpoint, if there is one. */
  readonly resume?: boolean | undefined
}

/**
 * The checkpoint to go on from.
 * @throws FewbitError CHECKPOINT_EXISTS where there is one and the run is to begin anew.
 */
export async function earlierCheckpoint({ memory, resume }: Resuming, run: Run): Promise<Uint8Array | undefined> {
  const found = await memory?.load()
  if (found && memory && !resume) {
    throw problem('CHECKPOINT_EXISTS', 'an earlier run has left a checkpoint', {
      at: { file: memory.name },
      fix: 'go on with --resume, or remove the file',
    })
  }
  if (resume && !found) run.diagnostics.info('CHECKPOINT_NONE', 'there is no checkpoint: the run begins anew')
  return found
}
