import { type Diagnostic, FewbitError, formatDiagnostic } from '@fewbit/core/util'
import { CommanderError } from 'commander'

export const EXIT = { ok: 0, error: 1, usage: 2, floorMissed: 3, interrupted: 130 } as const

/** What an error means to the shell, and the text for people. Only our own bugs show a stack trace. */
export function describeFailure(error: unknown): { code: number; text: string; diagnostics: readonly Diagnostic[] } {
  if (error instanceof CommanderError)
    return { code: error.exitCode === 0 ? EXIT.ok : EXIT.usage, text: '', diagnostics: [] }
  if (isAbort(error)) return { code: EXIT.interrupted, text: 'stopped; nothing was written', diagnostics: [] }
  if (error instanceof FewbitError) {
    const isUsage = error.diagnostics.some((d) => d.level === 'error' && d.at?.option !== undefined)
    const text = error.diagnostics.map(formatDiagnostic).join('\n')
    return { code: isUsage ? EXIT.usage : EXIT.error, text, diagnostics: error.diagnostics }
  }
  return { code: EXIT.error, ...describeUnknown(error) }
}

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
