import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '@fewbit/core/engine'
import { type OperatorTime, operatorTimes, type StepBatch, TrainingRun, type TrainingStep } from '@fewbit/core/training'

const RUNS = 5

/**
 * Makes some steps and tells where their time went, by operator. The state that the step begins with stays as it is.
 * @param batches what one step takes.
 * @throws FewbitError as `TrainingRun`.
 */
export async function profileStep(
  engine: Engine,
  step: TrainingStep,
  batches: StepBatch | readonly StepBatch[],
  { lr, runs = RUNS }: { readonly lr: number; readonly runs?: number },
): Promise<OperatorTime[]> {
  const folder = await mkdtemp(join(tmpdir(), 'fewbit-profile-'))
  try {
    const run = await TrainingRun.load(engine, step, { load: { profile: join(folder, 'step') } })
    try {
      for (let i = 0; i < runs; i++) await run.advance(batches, { lr })
    } finally {
      // The trace is written now.
      await run.release()
    }
    const [file] = await readdir(folder)
    return file === undefined ? [] : operatorTimes(await readFile(join(folder, file), 'utf8'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
