import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** A Python environment of its own, in a folder that git ignores. */
export interface PythonEnv {
  readonly folder: string
  /** What pip installs, with versions: `numpy==2.4.6`. */
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
  return works(env)
    ? undefined
    : `${env.module} cannot be imported from ${env.packages.join(', ')}, or a package is there in another version`
}

function install(env: PythonEnv, packages: readonly string[], ...options: string[]): string | undefined {
  if (packages.length === 0) return undefined
  const args = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...options, ...packages]
  const run = spawnSync(pythonOf(env), args, { encoding: 'utf8' })
  return run.status === 0 ? undefined : `pip cannot install ${packages.join(', ')}: ${lastLine(run)}`
}

/** Ends with an error unless all packages, given as `name==version`, are there in these versions. */
const HAS_PACKAGES = `
from importlib.metadata import version
from sys import argv
for name, wanted in (package.split('==') for package in argv[1:]):
    assert version(name).split('+')[0] == wanted, name`

/** A module that can be imported says nothing about the packages that were to be installed after its own. */
function works(env: PythonEnv): boolean {
  if (!existsSync(pythonOf(env))) return false
  const packages = [...env.packages, ...(env.alone ?? [])]
  return spawnSync(pythonOf(env), ['-c', `import ${env.module}${HAS_PACKAGES}`, ...packages]).status === 0
}

/** What a failed process said last. */
export const lastLine = ({ error, stderr, signal }: SpawnSyncReturns<string>): string =>
  error?.message ?? (stderr.trim().split('\n').at(-1) || (signal ? `ended by ${signal}` : 'no message'))
