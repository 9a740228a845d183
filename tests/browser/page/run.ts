import { startTests, type Task, type VitestRunner } from '@vitest/runner'

export interface TestOutcome {
  readonly name: string
  readonly state: string
  readonly error?: string
}

/** Runs one test file in this page and answers what became of each test; what fails outside of tests is an outcome as well. */
export async function runFile(filepath: string, importFile: () => Promise<unknown>): Promise<TestOutcome[]> {
  const files = await startTests([{ filepath }], runnerFor(importFile))
  return files.flatMap((file) => [...outcomesOf(file)])
}

function runnerFor(importFile: () => Promise<unknown>): VitestRunner {
  return {
    config: {
      root: '/',
      setupFiles: [],
      name: undefined,
      passWithNoTests: false,
      testNamePattern: undefined,
      allowOnly: false,
      sequence: { seed: 0, hooks: 'stack', setupFiles: 'list' },
      chaiConfig: undefined,
      maxConcurrency: 1,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      retry: 0,
      includeTaskLocation: false,
      tags: [],
      tagsFilter: undefined,
      strictTags: false,
    },
    importFile,
  }
}

function* outcomesOf(task: Task, path: readonly string[] = []): Generator<TestOutcome> {
  const names = [...path, task.name]
  const error = task.result?.errors?.[0]
  if (error || task.type === 'test') {
    const state = task.result?.state ?? task.mode
    const text = error && `${error.message}\n${error.stack ?? ''}`
    yield { name: names.join(' > '), state, ...(text !== undefined && { error: text }) }
  }
  if (task.type === 'suite') for (const child of task.tasks) yield* outcomesOf(child, names)
}
