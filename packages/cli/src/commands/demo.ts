import type { Command } from 'commander'
import { action, type CommandBody, type CommandContext, type CommandResult, type Invocation } from '../command.ts'
import { renderDemo } from '../demo/render-demo.ts'
import { renderTrainDemo } from '../demo/render-train-demo.ts'
import { CARELESS, type DemoResult, runDemo, SAMPLES, scores } from '../demo/run-demo.ts'
import { FOUR_BITS, TRAINING, trainDemo } from '../demo/train-demo.ts'
import { checkFolder, writeDemo, writeTrainDemo } from '../demo/write-demo.ts'

interface Flags {
  output?: string
  train?: boolean
}

const body: CommandBody<[Flags]> = async (cx, { output, train }) => {
  if (output !== undefined) await checkFolder(output)
  return train ? training(cx, output) : quantizing(cx, output)
}

async function quantizing({ run, signal }: CommandContext, output: string | undefined): Promise<CommandResult> {
  const result = await runDemo(run)
  if (output !== undefined) await writeDemo(result, output, signal)
  const wrote = output === undefined ? '' : `\nwrote ${output}`
  return { json: { ...summary(result), output: output ?? null }, text: renderDemo(result, output) + wrote }
}

async function training({ run }: CommandContext, output: string | undefined): Promise<CommandResult> {
  const result = await trainDemo(run)
  if (output !== undefined) await writeTrainDemo(result, output)
  const { float, nearest, trained, seconds } = result
  const json = {
    ...{ training: TRAINING, quantization: FOUR_BITS, samples: SAMPLES, float: float.report },
    nearest: { metrics: scores(nearest, 'after'), recipe: nearest.recipe },
    trained: { report: trained.report, conversion: trained.conversion },
    ...{ seconds, output: output ?? null },
  }
  return { json, text: renderTrainDemo(result, output) }
}

function summary({ careless, fewbit, explained, seconds }: DemoResult) {
  const part = ({ report, recipe }: DemoResult['fewbit']) => ({ report, recipe })
  return {
    samples: SAMPLES,
    float: {
      metrics: scores(fewbit, 'before'),
      bytes: fewbit.report.bytes.before,
      secondsPerSample: fewbit.report.latency?.float,
    },
    careless: { settings: CARELESS, metrics: scores(careless, 'after'), ...part(careless) },
    fewbit: { metrics: scores(fewbit, 'after'), ...part(fewbit) },
    explained,
    seconds,
  }
}

export function demoCommand(program: Command, invocation: Invocation): void {
  program
    .command('demo')
    .summary('the embedded example, end to end, in seconds')
    .description('Quantizes a small network that comes with fewbit twice, carelessly and with defaults, and compares.')
    .option('-o, --output <folder>', 'also write the models and some pictures, to play on with')
    .option('--train', 'train the network from random weights, and to four bits, in some minutes')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit demo\n  fewbit demo --train\n  fewbit demo -o demo && fewbit inspect demo/demo.onnx',
    )
    .action(action(invocation, body))
}
