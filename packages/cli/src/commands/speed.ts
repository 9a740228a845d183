import { type Speed, speed, type TimedEngine } from '@fewbit/core/pipeline'
import { loadModel, traceKernels } from '@fewbit/engine-node'
import { type Command, InvalidArgumentError } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { checkEngineNames, openEngines } from '../engines/index.ts'
import { renderSpeed } from '../render/speed.ts'

interface Flags extends DataFlags {
  data: string
  engines: string[]
  rounds?: number
  budget?: number
}

const body: CommandBody<[string, string, Flags]> = async (cx, floatFile, quantizedFile, flags) => {
  checkEngineNames(flags.engines)
  const [float, quantized] = [await loadModel(floatFile), await loadModel(quantizedFile)]
  const { engines, close } = await openEngines(flags.engines)
  try {
    const result: Speed = await speed(float, quantized, {
      ...cx.run,
      engines: engines.map(traced),
      data: await openData(flags.data, float, flags, cx),
      ...(flags.rounds ? { rounds: flags.rounds } : {}),
      ...(flags.budget ? { budget: flags.budget } : {}),
    })
    return { json: { models: { float: floatFile, quantized: quantizedFile }, ...result }, text: renderSpeed(result) }
  } finally {
    await close()
  }
}

/** ONNX Runtime for Node writes traces; the others have no disk, or no kernels of their own. */
const traced = (each: TimedEngine): TimedEngine =>
  each.engine.name.startsWith('onnxruntime-node')
    ? { ...each, trace: (model, feeds, load) => traceKernels(each.engine, model, feeds, load) }
    : each

const list = (text: string): string[] => text.split(',').map((name) => name.trim())

function seconds(text: string): number {
  const n = Number(text)
  if (!(n > 0)) throw new InvalidArgumentError('It must be a number of seconds above 0.')
  return n
}

export function speedCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('speed')
    .summary('latency of a float and its quantized model, engine by engine')
    .description(
      'Times both models in turn on each engine, with warm-up, median and spread; says which kernels run on codes, what is left in float, and why the quantized model is not faster where it is not.',
    )
    .argument('<float>', 'the float ONNX file')
    .argument('<quantized>', 'the quantized ONNX file')
    .option('--data <path>', 'as for verify; the first sample is timed (default "random")', 'random')
    .option('--engines <list>', 'comma-separated, as for verify (default node-cpu)', list, ['node-cpu'])
    .option('--rounds <n>', 'how often each model is loaded and timed (default 3)', positiveInteger)
    .option('--budget <seconds>', 'time of measuring in one round of one model (default 0.5)', seconds)
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  fewbit speed model.onnx model.int8.onnx --engines node-cpu,wasm')
  withDataFlags(command).action(action(invocation, body))
}
