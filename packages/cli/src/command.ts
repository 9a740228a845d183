import type { Plugin, Registries, RunOptions } from '@fewbit/core/pipeline'
import { Diagnostics, formatDiagnostic } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { type Console, toJson } from './output.ts'
import { progressView } from './progress.ts'

/** What every command gets besides its own options. */
export interface CommandContext {
  readonly console: Console
  readonly signal: AbortSignal
  /** Engine, progress and signal, ready to be spread into a verb's options. */
  readonly run: RunOptions
  /** What is worth saying besides the result. */
  readonly diagnostics: Diagnostics
}

/** What a command has to say: a value for `--json`, text for people, and an exit code if it is not 0. */
export interface CommandResult {
  readonly json: unknown
  readonly text: string
  readonly exitCode?: number
}

export type CommandBody<A extends unknown[]> = (cx: CommandContext, ...args: A) => Promise<CommandResult>

/** Environment of one invocation of the program. */
export interface Invocation {
  readonly console: Console
  readonly signal: AbortSignal
  /** From `--plugin`. */
  readonly extensions: readonly Plugin[]
  /** What can be asked for by name, plugins included. */
  readonly registries: Registries
  exitCode: number
}

/** Wires a body to commander: progress, `--json`, output. */
export function action<A extends unknown[]>(invocation: Invocation, body: CommandBody<A>) {
  return async (...args: [...A, Command]): Promise<void> => {
    const command = args.at(-1) as Command
    const { json } = command.opts<{ json?: boolean }>()
    const { console, signal, extensions } = invocation
    const progress = await progressView(console)
    const run = { engine: nodeEngine(), signal, onProgress: progress.onProgress, extensions }
    const diagnostics = new Diagnostics()
    let failed = true
    try {
      const result = await body({ console, signal, run, diagnostics }, ...(args.slice(0, -1) as unknown as A))
      failed = false
      await progress.finish()
      // Data that are read several times give rise to the same diagnostic each time.
      for (const text of new Set(diagnostics.list.map(formatDiagnostic))) console.err.write(`${text}\n`)
      console.out.write(`${json ? toJson(result.json) : result.text}\n`)
      invocation.exitCode = result.exitCode ?? 0
    } finally {
      if (failed) await progress.finish(true)
    }
  }
}
