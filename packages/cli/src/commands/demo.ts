import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { renderDemo } from '../demo/render-demo.ts'
import { CARELESS, type DemoResult, runDemo, SAMPLES, scores } from '../demo/run-demo.ts'
import { checkFolder, writeDemo } from '../demo/write-demo.ts'

interface Flags {
  output?: string
}

const body: CommandBody<[Flags]> = async ({ run, signal }, { output }) => {
  if (output !== undefined) await checkFolder(output)
  const result = await runDemo(run)
  if (output !== undefined) await writeDemo(result, output, signal)
  const wrote = output === undefined ? '' : `\nwrote ${output}`
  return { json: { ...summary(result), output: output ?? null }, text: renderDemo(result, output) + wrote }
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
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  fewbit demo\n  fewbit demo -o demo && fewbit inspect demo/demo.onnx')
    .action(action(invocation, body))
}
