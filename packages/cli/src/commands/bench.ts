import { existsSync } from 'node:fs'
import { type DataSource, splitSource } from '@fewbit/core/engine'
import { type BenchQatOptions, benchQat, QAT_BENCH_RECIPE, type QatBench } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { checkWritable } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { action, type CommandBody, type CommandContext, type Invocation } from '../command.ts'
import { sourceOf } from '../data-flags.ts'
import { ladderFile } from '../ladder.ts'
import { renderQatBench } from '../render/qat-bench.ts'
import { type BenchFlags, HELD_OUT, withBenchFlags } from './bench-flags.ts'
import { benchNetworks } from './bench-networks.ts'

const body: CommandBody<[string, BenchFlags]> = async (cx, _what, given) => {
  checkWritable(given.output)
  const { networks, flags } = await benchNetworks(cx, given)
  const { steps, batch: batchSize, lr, seed = QAT_BENCH_RECIPE.seed, strict } = flags
  const bench = await benchQat(networks, {
    ...cx.run,
    ...(await dataOf(cx, flags)),
    ...(flags.algorithms[0] !== 'all' && { algorithms: flags.algorithms }),
    ...(flags.targets[0] !== 'all' && { targets: flags.targets }),
    schemes: flags.scheme,
    recipe: { steps, batchSize, lr, seed },
    ...(strict && { strict }),
    memory: memoryOf(flags.output, cx),
  })
  return { json: bench, text: [renderQatBench(bench), '', `wrote ${flags.output}`].join('\n') }
}

/** What cells are trained and scored on. */
async function dataOf(cx: CommandContext, flags: BenchFlags): Promise<Pick<BenchQatOptions, 'data' | 'evaluation'>> {
  const { data, evalData, samples = flags.steps * flags.batch, evalSamples, metric } = flags
  const metrics = metric && { metrics: metric }
  if (evalData !== undefined) {
    const scored = await sourceOf(evalData, flags, cx, evalSamples)
    return { data: await sourceOf(data, flags, cx, samples), evaluation: { data: scored, ...metrics } }
  }
  const { rest, held } = splitSource(await sourceOf(data, flags, cx), HELD_OUT)
  return { data: atMost(rest, samples), evaluation: { data: atMost(held, evalSamples), ...metrics } }
}

const atMost = ({ name, open }: DataSource, samples: number | undefined): DataSource => ({
  name,
  open: (inputs) => open(inputs, samples),
})

/** The table as a file, and a line for each cell that is finished. */
function memoryOf(path: string, { console }: CommandContext) {
  const { load, save } = ladderFile<QatBench>(path)
  return {
    name: path,
    // A file that cannot be read is somebody else's: what is loaded of it is refused, and it stays.
    load: async () => (existsSync(path) ? ((await load()) ?? {}) : undefined),
    async save(bench: QatBench) {
      await save(bench)
      const { algorithm, target, refused, seconds } = bench.cells.at(-1) as QatBench['cells'][number]
      console.err.write(`${algorithm}, ${target}: ${refused ? `refused, ${refused.code}` : 'done'} (${seconds} s)\n`)
    },
  }
}

const EXAMPLES = `
Examples:
  fewbit bench qat --models resnet20,mobilenet-v2-cifar --data train/ --eval-data test/ --float-epochs 30 -o table.json
  fewbit bench qat --models resnet20.onnx --algorithms lsq,pact --targets academic,tensorrt --data pictures/ --preset cifar10
  fewbit bench qat --models resnet18=resnet18.safetensors --data train/ --eval-data val/ --eval-samples 5000`

export function benchCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('bench')
    .summary('train with each method for each backend, and compare what is deployed')
    .description(
      'Trains networks with each method of quantization-aware training under the rules of each backend, by one recipe, and scores what was trained beside what is deployed. Networks of the zoo are trained in float first, once. Finished cells stand in the output file, and the same command goes on after a stop.',
    )
    .argument('<what>', 'qat', oneOf)
    .addHelpText('after', EXAMPLES)
  withBenchFlags(command).action(action(invocation, body))
}

function oneOf(what: string): string {
  if (what === 'qat') return what
  throw problem('USAGE', `there is no benchmark "${what}"`, { fix: 'write fewbit bench qat' })
}
