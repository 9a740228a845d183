import { type Diagnostic, FewbitError, formatDiagnostic } from '@fewbit/core/util'
import { CommanderError } from 'commander'

export const EXIT = { ok: 0, error: 1, usage: 2, floorMissed: 3, interrupted: 130 } as const

export interface Failure {
  /** Exit code. */
  readonly code: number
  readonly text: string
  readonly diagnostics: readonly Diagnostic[]
}

/** What an error means to the shell, and the text for people. Only our own bugs show a stack trace. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error)
  if (isAbort(error)) return interrupted('stopped; nothing was written')
  if (error instanceof FewbitError) {
    if (error.code === 'ALLOCATE_INFEASIBLE') {
      return { code: EXIT.floorMissed, text: error.message, diagnostics: error.diagnostics }
    }
    const isUsage = error.diagnostics.some((d) => d.level === 'error' && d.at?.option !== undefined)
    const text = error.diagnostics.map(formatDiagnostic).join('\n')
    return { code: isUsage ? EXIT.usage : EXIT.error, text, diagnostics: error.diagnostics }
  }
  return { code: EXIT.error, ...describeUnknown(error) }
}

function usageFailure({ exitCode, message }: CommanderError): Failure {
  if (exitCode === 0) return { code: EXIT.ok, text: '', diagnostics: [] }
  const [first = message] = message.replace(/^error: /, '').split('\n')
  return { code: EXIT.usage, text: '', diagnostics: [{ code: 'USAGE', level: 'error', message: first }] }
}

const interrupted = (text: string): Failure => ({
  code: EXIT.interrupted,
  text,
  diagnostics: [{ code: 'STOPPED', level: 'error', message: text }],
})

function describeUnknown(error: unknown): { text: string; diagnostics: readonly Diagnostic[] } {
  const system = error as NodeJS.ErrnoException
  const isSystem = typeof system?.code === 'string' && typeof system.syscall === 'string'
  const diagnostic: Diagnostic = isSystem
    ? { code: 'FILE_SYSTEM', level: 'error', message: system.message }
    : {
        code: 'INTERNAL',
        level: 'error',
        message: error instanceof Error ? error.message : String(error),
        notes: ['this is a defect of fewbit; the trace below helps to find it'],
      }
  const trace = isSystem || !(error instanceof Error) ? '' : `\n${error.stack}`
  return { text: formatDiagnostic(diagnostic) + trace, diagnostics: [diagnostic] }
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'
