import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, expect } from 'vitest'
import { main } from '../../packages/cli/src/main.ts'

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the command line in this process, from the sources. */
export async function fewbit(...args: string[]): Promise<Outcome> {
  const text = { out: '', err: '' }
  const into = (key: 'out' | 'err') =>
    new Writable({
      write(chunk, _, done) {
        text[key] += chunk
        done()
      },
    })
  const code = await main(['node', 'fewbit', ...args], { out: into('out'), err: into('err'), isTerminal: false })
  return { code, ...text }
}

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILT = join(ROOT, 'packages/cli/bin/fewbit.js')

/** The built program in a process of its own, for signals, pipes and terminals. */
export const PROGRAM = [process.execPath, BUILT] as const
export const isBuilt = existsSync(join(ROOT, 'packages/cli/dist/main.js'))

export function start(args: readonly string[], cwd: string): { child: ChildProcess; outcome: Promise<Outcome> } {
  const child = spawn(PROGRAM[0], [PROGRAM[1], ...args], { cwd })
  return { child, outcome: outcomeOf(child) }
}

/** Through a shell, where the test is about pipes and redirections. `fewbit` in the script is the built program. */
export function shell(script: string, cwd: string): Promise<Outcome> {
  const define = `fewbit() { "${PROGRAM[0]}" "${PROGRAM[1]}" "$@"; }`
  return outcomeOf(spawn('bash', ['-c', `${define}\n${script}`], { cwd, env: { ...process.env, PROGRAM: PROGRAM[1] } }))
}

export function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const text = { out: '', err: '' }
  child.stdout?.on('data', (chunk) => {
    text.out += chunk
  })
  child.stderr?.on('data', (chunk) => {
    text.err += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...text }))
  })
}

/** A folder that goes when the test file ends. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'fewbit-e2e-'))

  constructor() {
    afterAll(() => rmSync(this.path, { recursive: true, force: true }))
  }

  at(...parts: string[]): string {
    return join(this.path, ...parts)
  }

  put(name: string, content: string | Uint8Array): string {
    const path = this.at(name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return path
  }

  folder(name: string): string {
    mkdirSync(this.at(name), { recursive: true })
    return this.at(name)
  }

  /** Every file below with its size and time of writing, hidden ones included: a failed command leaves all as it was. */
  snapshot(): string[] {
    const entries = readdirSync(this.path, { recursive: true, encoding: 'utf8' }).sort()
    return entries.map((name) => {
      const { size, mtimeMs } = lstatSync(this.at(name))
      return `${name} ${size} ${mtimeMs}`
    })
  }
}

/** A trace such as `    at main (file.js:3:5)`. Diagnostics have `  at  file …`. */
const TRACE = /^\s+at .+:\d+:\d+\)?$/m

/**
 * What every failure owes the user: a code for scripts, a diagnostic with a remedy on stderr, nothing on stdout, no trace, and a
 * folder in which nothing has changed.
 */
export async function failsCleanly(work: Folder, code: string, exit: 1 | 2, args: readonly string[]): Promise<Outcome> {
  const before = work.snapshot()
  const outcome = await fewbit(...args)
  expect(outcome.err).toMatch(new RegExp(`^error ${code}  \\S`, 'm'))
  expect(outcome.err).toMatch(/^ {2}fix \S/m)
  expect(outcome).toMatchObject({ code: exit, out: '' })
  expect(outcome.err).not.toMatch(TRACE)
  expect(work.snapshot()).toEqual(before)
  return outcome
}
