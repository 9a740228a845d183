import { cloneModel, type Model } from '../ir/index.ts'
import { inferShapesPass, optimizePasses, PASSES, type Pass, runPasses, type TraceEvent } from '../passes/index.ts'
import { type Diagnostic, problem } from '../util/index.ts'
import { type Inspection, inspect } from './inspect.ts'
import { Run, type RunOptions } from './run.ts'

export interface OptimizeOptions extends RunOptions {
  /** Names of passes in order; the default list unless given. */
  readonly passes?: readonly string[]
}

export interface OptimizeResult {
  readonly model: Model
  readonly before: Inspection
  readonly after: Inspection
  /** What fired and what declined, with reasons. */
  readonly trace: readonly TraceEvent[]
  readonly diagnostics: readonly Diagnostic[]
  readonly seconds: Readonly<Record<string, number>>
}

/**
 * Rewrites a model into a smaller one with the same outputs. The caller's model is not changed.
 * @throws FewbitError PASS_UNKNOWN for a pass that does not exist.
 */
export async function optimize(model: Model, options: OptimizeOptions): Promise<OptimizeResult> {
  const run = new Run(options)
  const passes = options.passes ? options.passes.map(passNamed) : optimizePasses
  const result = cloneModel(model)
  const before = await run.stage('inspect', () => inspect(result, run))
  await run.stage('optimize', () => runPasses(result, [inferShapesPass, ...passes], run.passContext()))
  const after = await run.stage('inspect', () => inspect(result, run))
  return { model: result, before, after, trace: run.trace, diagnostics: run.diagnostics.list, seconds: run.seconds }
}

function passNamed(name: string): Pass {
  const pass = Object.values<Pass>(PASSES).find((p) => p.name === name)
  if (pass) return pass
  throw problem('PASS_UNKNOWN', `there is no pass "${name}"`, {
    at: { option: 'passes' },
    fix: `choose from ${Object.values<Pass>(PASSES)
      .map((p) => p.name)
      .join(', ')}`,
  })
}
