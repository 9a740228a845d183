/** Where in the user's input a diagnostic points. Every field is optional: name what is known. */
export interface Place {
  file?: string
  node?: string
  value?: string
  option?: string
  /** Path of a record inside a file, such as `graph.node[3].attribute[0]`. */
  field?: string
  /** Offset in a file. */
  byte?: number
}

export type Level = 'info' | 'warning' | 'error'

/**
 * One thing worth telling the user: what happened, where, and what to do.
 * `code` is `AREA_PROBLEM` in capitals and is stable; `message` is a sentence.
 */
export interface Diagnostic {
  code: string
  level: Level
  message: string
  at?: Place
  notes?: string[]
  fix?: string
  data?: Record<string, unknown>
}

export type DiagnosticDetail = Omit<Diagnostic, 'code' | 'level' | 'message'>

/** The one error that crosses fewbit's public interface. Carries every diagnostic of the stage that failed. */
export class FewbitError extends Error {
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[], options?: ErrorOptions) {
    super(diagnostics.map(formatDiagnostic).join('\n'), options)
    this.name = 'FewbitError'
    this.diagnostics = diagnostics
  }

  get code(): string {
    return this.diagnostics.find((d) => d.level === 'error')?.code ?? 'UNKNOWN'
  }
}

/** Builds the error for a single problem: `throw problem('ONNX_TRUNCATED', '…', { at, fix })`. */
export function problem(code: string, message: string, detail: DiagnosticDetail = {}, cause?: unknown): FewbitError {
  return new FewbitError([{ code, level: 'error', message, ...detail }], cause === undefined ? undefined : { cause })
}

/** Collects the diagnostics of one stage. */
export class Diagnostics {
  readonly list: Diagnostic[] = []

  add(level: Level, code: string, message: string, detail: DiagnosticDetail = {}): void {
    this.list.push({ code, level, message, ...detail })
  }

  info(code: string, message: string, detail?: DiagnosticDetail): void {
    this.add('info', code, message, detail)
  }

  warn(code: string, message: string, detail?: DiagnosticDetail): void {
    this.add('warning', code, message, detail)
  }

  error(code: string, message: string, detail?: DiagnosticDetail): void {
    this.add('error', code, message, detail)
  }

  /** @throws FewbitError with everything collected, if any of it is an error. */
  throwIfErrors(): void {
    if (this.list.some((d) => d.level === 'error')) throw new FewbitError(this.list)
  }
}

/** `error CODE  message` followed by indented `at`, notes and `fix` lines. */
export function formatDiagnostic(d: Diagnostic): string {
  const lines = [`${d.level} ${d.code}  ${d.message}`]
  const known = Object.entries(d.at ?? {}).filter(([, name]) => name !== '')
  const place = known.map(([kind, name]) => `${kind} ${name}`)
  if (place.length > 0) lines.push(`  at  ${place.join(', ')}`)
  for (const note of d.notes ?? []) lines.push(`  note ${note}`)
  if (d.fix) lines.push(`  fix ${d.fix}`)
  return lines.join('\n')
}
