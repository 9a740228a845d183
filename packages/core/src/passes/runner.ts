import type { Model } from '../ir/model.ts'
import { verify } from '../ir/verify.ts'
import { FewbitError, invariant, problem } from '../util/index.ts'
import { structuralHash } from './fingerprint.ts'
import type { Pass, PassContext, TraceEvent } from './pass.ts'
import { RuleFailure } from './rule.ts'

export interface RunOptions {
  /** How often the whole list may run before the runner gives up on a fixed point. Default 10. */
  readonly maxRounds?: number
  /** Verifies the model after each pass, and that `modified` told the truth. For tests: it hashes every weight. */
  readonly check?: boolean
}

export interface RunReport {
  readonly modified: boolean
  readonly rounds: number
  /** False if the last permitted round still changed something. */
  readonly converged: boolean
  /** All that fired, in order; then what the last round declined. */
  readonly trace: readonly TraceEvent[]
}

/**
 * Runs the passes in order, again and again until a round changes nothing. Works in place: callers clone first.
 * Events reach `cx.trace` too: rewrites at once, and declines at the end, once each, as the final model has them.
 *
 * @throws FewbitError PASS_FAILED naming pass and node, or the pass's own diagnostics with the pass noted.
 */
export async function runPasses(
  model: Model,
  passes: readonly Pass[],
  cx: PassContext,
  { maxRounds = 10, check = false }: RunOptions = {},
): Promise<RunReport> {
  const fired: TraceEvent[] = []
  let declined: TraceEvent[] = []
  const trace = (event: TraceEvent): void => {
    if (event.kind === 'declined') return void declined.push(event)
    fired.push(event)
    cx.trace(event)
  }
  let rounds = 0
  let changed = true
  while (changed && rounds < maxRounds) {
    rounds++
    declined = []
    changed = await runRound(model, passes, { ...cx, trace }, check)
  }
  for (const event of declined) cx.trace(event)
  return { modified: rounds > 1 || changed, rounds, converged: !changed, trace: [...fired, ...declined] }
}

async function runRound(model: Model, passes: readonly Pass[], cx: PassContext, check: boolean): Promise<boolean> {
  let changed = false
  for (const pass of passes) {
    cx.signal?.throwIfAborted()
    const before = check ? structuralHash(model) : ''
    const { modified } = await runOne(pass, model, cx)
    if (check) checkClaims(pass, model, before, modified)
    changed ||= modified
  }
  return changed
}

async function runOne(pass: Pass, model: Model, cx: PassContext): Promise<{ modified: boolean }> {
  try {
    return await pass.run(model, cx)
  } catch (error) {
    throw inPass(pass, error)
  }
}

function inPass(pass: Pass, error: unknown): unknown {
  const cause = error instanceof RuleFailure ? error.cause : error
  const at = error instanceof RuleFailure ? { node: error.node } : {}
  if (cause instanceof FewbitError) {
    const noted = cause.diagnostics.map((d) => ({
      ...d,
      at: { ...at, ...d.at },
      notes: [...(d.notes ?? []), `in pass ${pass.name}`],
    }))
    return new FewbitError(noted, { cause })
  }
  if ((cause as Error | null)?.name === 'AbortError') return cause
  const text = cause instanceof Error ? cause.message : String(cause)
  return problem('PASS_FAILED', `pass ${pass.name} failed: ${text}`, { at }, cause)
}

function checkClaims(pass: Pass, model: Model, before: string, modified: boolean): void {
  const errors = verify(model)
  invariant(errors.length === 0, () => `pass ${pass.name} broke the model: ${errors.join('; ')}`)
  const changed = structuralHash(model) !== before
  invariant(changed === modified, () => `pass ${pass.name} says modified ${modified}, but the model says ${changed}`)
}
