import { writeSync } from 'node:fs'
import { registriesWith } from '@fewbit/core'
import { Command, CommanderError } from 'commander'
import type { Invocation } from './command.ts'
import { algorithmsCommand } from './commands/algorithms.ts'
import { allocateCommand } from './commands/allocate.ts'
import { analyzeCommand } from './commands/analyze.ts'
import { benchCommand } from './commands/bench.ts'
import { compareCommand } from './commands/compare.ts'
import { demoCommand } from './commands/demo.ts'
import { doctorCommand } from './commands/doctor.ts'
import { evaluateCommand } from './commands/evaluate.ts'
import { exportCommand } from './commands/export.ts'
import { inspectCommand } from './commands/inspect.ts'
import { lintCommand } from './commands/lint.ts'
import { observersCommand } from './commands/observers.ts'
import { opsCommand } from './commands/ops.ts'
import { optimizeCommand } from './commands/optimize.ts'
import { quantizeCommand } from './commands/quantize.ts'
import { recipeCommand } from './commands/recipe.ts'
import { runCommand } from './commands/run.ts'
import { speedCommand } from './commands/speed.ts'
import { targetsCommand } from './commands/targets.ts'
import { trainCommand } from './commands/train.ts'
import { verifyCommand } from './commands/verify.ts'
import { whyCommand } from './commands/why.ts'
import { zooCommand } from './commands/zoo.ts'
import { describeFailure, EXIT } from './failure.ts'
import { loadPlugin } from './library/load-plugin.ts'
import { type Console, processConsole, toJson, watchOutput } from './output.ts'
import { VERSION } from './version.ts'

const COMMANDS = [
  inspectCommand,
  optimizeCommand,
  evaluateCommand,
  runCommand,
  quantizeCommand,
  allocateCommand,
  trainCommand,
  analyzeCommand,
  doctorCommand,
  verifyCommand,
  benchCommand,
  compareCommand,
  speedCommand,
  whyCommand,
  lintCommand,
  exportCommand,
  recipeCommand,
  targetsCommand,
  observersCommand,
  algorithmsCommand,
  opsCommand,
  zooCommand,
  demoCommand,
]

function buildProgram(invocation: Invocation): Command {
  const { console } = invocation
  const program = new Command('fewbit')
    .description('Makes ONNX networks small and fast enough to deploy, and shows what it cost.')
    .version(VERSION, '-v, --version')
    .showHelpAfterError('(add --help for the options and examples)')
    .configureOutput({ writeOut: (text) => console.out.write(text), writeErr: (text) => console.err.write(text) })
    .exitOverride()
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit demo\n  fewbit quantize model.onnx --data images/ --preset imagenet -o model.int8.onnx',
    )
  for (const add of COMMANDS) add(program, invocation)
  for (const command of program.commands) {
    command.exitOverride().configureOutput(program.configureOutput())
    command.option(
      '--plugin <file>',
      'a module with operators, observers, algorithms, targets or exporters; may be repeated',
      collect,
    )
  }
  return program
}

const collect = (value: string, list: string[] = []): string[] => [...list, value]

/** Plugins are loaded before the other options are read, because they bring names that options may take. */
function pluginPaths(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).flatMap((word, i, words) => {
    if (word.startsWith('--plugin=')) return [word.slice('--plugin='.length)]
    const next = words[i + 1]
    return word === '--plugin' && next !== undefined ? [next] : []
  })
}

/**
 * Runs the command line.
 * @param argv as `process.argv`: two leading entries are skipped.
 * @returns the exit code: 0 ok, 1 error, 2 usage, 3 a stated floor was missed, 130 interrupted.
 */
export async function main(argv: readonly string[], console: Console = processConsole): Promise<number> {
  const controller = new AbortController()
  const interrupt = (): void => {
    if (controller.signal.aborted) leave(console)
    controller.abort()
  }
  // Not `once`: libraries that restore the cursor end the process on a signal that nobody else listens to.
  process.on('SIGINT', interrupt)
  if (console === processConsole) watchOutput()
  try {
    const extensions = await Promise.all(pluginPaths(argv).map(loadPlugin))
    const registries = registriesWith(extensions)
    const invocation: Invocation = { console, signal: controller.signal, extensions, registries, exitCode: 0 }
    const program = buildProgram(invocation)
    if (argv.length <= 2) program.outputHelp()
    else await program.parseAsync([...argv])
    return invocation.exitCode
  } catch (error) {
    return reportFailure(error, argv, console)
  } finally {
    process.removeListener('SIGINT', interrupt)
  }
}

/** The second Ctrl-C does not wait for the running step to notice the first. */
function leave(console: Console): never {
  if (console.isTerminal) writeSync(process.stderr.fd, SHOW_CURSOR)
  process.exit(EXIT.interrupted)
}

const SHOW_CURSOR = '\u001b[?25h'

function reportFailure(error: unknown, argv: readonly string[], console: Console): number {
  const failure = describeFailure(error)
  if (failure.code === EXIT.ok) return failure.code
  if (argv.includes('--json')) console.out.write(`${toJson({ error: true, diagnostics: failure.diagnostics })}\n`)
  // commander has printed its own errors.
  if (!(error instanceof CommanderError)) console.err.write(`${failure.text}\n`)
  return failure.code
}
