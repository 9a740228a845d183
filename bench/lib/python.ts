import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** A Python environment of its own, in a folder that git ignores. */
export interface PythonEnv {
  readonly folder: string
  /** What pip installs, such as `numpy==2.4.6`. */
  readonly packages: readonly string[]
  /** Names a module whose import shows that the environment is complete. */
  readonly module: string
  /** Python's version, such as `3.8`, where packages exist for no later one; default: whatever `python3` is. */
  readonly python?: string
  /** Packages that are installed without what they ask for, which is large and not used. */
  readonly alone?: readonly string[]
}

export const pythonOf = ({ folder }: Pick<PythonEnv, 'folder'>): string => join(folder, 'bin/python')

/** Makes the environment if it is missing. Returns why it cannot be had, or undefined. */
export function ensurePython(env: PythonEnv): string | undefined {
  if (works(env)) return undefined
  mkdirSync(env.folder, { recursive: true })
  const command = `python${env.python ?? 3}`
  // pyenv's commands run the version that this variable names.
  const variables = env.python ? { ...process.env, PYENV_VERSION: env.python } : process.env
  const made = spawnSync(command, ['-m', 'venv', env.folder], { encoding: 'utf8', env: variables })
  if (made.error || made.status !== 0) return `${command} -m venv failed: ${lastLine(made)}`
  const failure = install(env, env.packages) ?? install(env, env.alone ?? [], '--no-deps')
  if (failure !== undefined) return failure
  return works(env) ? undefined : `${env.module} cannot be imported from ${env.packages.join(', ')}`
}

function install(env: PythonEnv, packages: readonly string[], ...options: string[]): string | undefined {
  if (packages.length === 0) return undefined
  const args = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...options, ...packages]
  const run = spawnSync(pythonOf(env), args, { encoding: 'utf8' })
  return run.status === 0 ? undefined : `pip cannot install ${packages.join(', ')}: ${lastLine(run)}`
}

const works = (env: PythonEnv): boolean =>
  existsSync(pythonOf(env)) && spawnSync(pythonOf(env), ['-c', `import ${env.module}`]).status === 0

/** What a failed process said last. */
export const lastLine = ({ error, stderr, signal }: SpawnSyncReturns<string>): string =>
  error?.message ?? (stderr.trim().split('\n').at(-1) || (signal ? `ended by ${signal}` : 'no message'))
