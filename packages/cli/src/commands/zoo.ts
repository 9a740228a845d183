import { statSync } from 'node:fs'
import { inspect } from '@fewbit/core/pipeline'
import { bytes, count, problem } from '@fewbit/core/util'
import { incompleteNotes, type NameMap, type WeightsReport } from '@fewbit/core/weights'
import { buildZooModel, countParameters, describeZoo, findZooName, type ZooInfo } from '@fewbit/core/zoo'
import { checkWritable, saveModel } from '@fewbit/engine-node'
import { type Command, InvalidArgumentError } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { table } from '../render/table.ts'
import { loadedFrom } from '../zoo-network.ts'

interface Flags {
  output?: string
  classes?: number
  seed?: number
  batch?: number | string
  weights?: string
  map?: NameMap
  partial?: boolean
}

const body: CommandBody<[string | undefined, Flags]> = async (_, name, flags) => {
  const list = describeZoo()
  if (name === undefined) return { json: list, text: listText(list) }
  const known = findZooName(name)
  const info = list.find((entry) => entry.name === known) as ZooInfo
  if (flags.output !== undefined) return write(info, flags.output, flags)
  const [unused] = Object.keys(flags).filter((flag) => flag !== 'json')
  if (unused !== undefined) throw noOutput(unused)
  return { json: info, text: detailText(info) }
}

async function write(info: ZooInfo, output: string, flags: Flags) {
  checkWritable(output)
  const { weights, map = {}, partial = false, classes, seed, batch } = flags
  const options = {
    ...(classes !== undefined && { classes }),
    ...(seed !== undefined && { seed }),
    ...(batch !== undefined && { batch }),
  }
  const drawn = buildZooModel(info.name, options)
  const loaded = weights === undefined ? undefined : await loadedFrom(drawn, weights, { map, partial })
  const model = loaded?.model ?? drawn
  await saveModel(model, output)
  const { macs, inputs, outputs } = await inspect(model)
  const facts = {
    name: info.name,
    title: info.title,
    output,
    parameters: countParameters(model),
    macs,
    inputs,
    outputs,
  }
  const report = loaded && { file: weights, ...loaded.report }
  return {
    json: {
      ...facts,
      seed: seed ?? 0,
      ...(info.preset && { preset: info.preset }),
      ...(report && { weights: report }),
    },
    text: [
      `${info.name}: ${info.title}`,
      table(
        [],
        [
          ...[...inputs, ...outputs].map((port) => [port.name, `${port.dtype}[${(port.shape ?? []).join(', ')}]`]),
          ['parameters', String(facts.parameters)],
          ['MACs', count(macs)],
          ['weights', weightsText(weights, loaded?.report, seed)],
          ...(info.preset ? [['data', `--preset ${info.preset}`]] : []),
        ],
      ),
      ...(loaded ? incompleteNotes(loaded.report).map((line) => `  ${line}`) : []),
      `wrote ${output} (${bytes(statSync(output).size)})`,
    ].join('\n'),
  }
}

function weightsText(file: string | undefined, report: WeightsReport | undefined, seed = 0): string {
  if (!report) return `random, seed ${seed}`
  const { loaded, missing, mismatched, unused } = report
  const left = missing.length + mismatched.length
  const drawn = left > 0 ? `; ${left} stay random, seed ${seed}` : ''
  const more = unused.length > 0 ? `; ${unused.length} of its tensors have no place` : ''
  return `${loaded.length} tensors of ${file}${drawn}${more}`
}

function listText(list: readonly ZooInfo[]): string {
  const rows = list.map(({ name, title, input, classes, parameters, macs }) => {
    return [name, title, input.join('×'), String(classes), count(parameters), count(macs)]
  })
  const head = ['network', '', 'input', 'classes', 'parameters', 'MACs']
  return [
    table(head, rows, ['left', 'left', 'right', 'right', 'right', 'right']),
    '',
    'one of them as an ONNX file: fewbit zoo resnet20 -o float.onnx',
  ].join('\n')
}

function detailText({ name, title, paper, names, input, preset, classes, parameters, macs }: ZooInfo): string {
  const rows = [
    ['input', `N×${input.join('×')}`],
    ['classes', String(classes)],
    ['parameters', String(parameters)],
    ['MACs', String(macs)],
    ['data', preset ? `--preset ${preset}` : 'no pictures'],
    ['names', names],
    ['source', paper],
  ]
  return [`${name}: ${title}`, table([], rows), '', `as an ONNX file: fewbit zoo ${name} -o ${name}.onnx`].join('\n')
}

const noOutput = (flag: string): Error =>
  problem('OUTPUT_MISSING', `--${flag} says how to write a network, and no file is named`, {
    at: { option: 'output' },
    fix: 'name one with -o',
  })

function wholeNumber(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('it must be a whole number')
  return Number(text)
}

const batchSize = (text: string): number | string => (/^[-\d]/.test(text) ? wholeNumber(text) : text)

function renaming(text: string, map: NameMap = {}): NameMap {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('write it as pattern=name, such as "module.*=*"')
  return { ...map, [text.slice(0, at)]: text.slice(at + 1) }
}

export function zooCommand(program: Command, invocation: Invocation): void {
  program
    .command('zoo')
    .summary('networks of the literature, to train or to load weights into')
    .description(
      'Lists networks that fewbit can write; with a name tells about one, and with -o writes it as an ONNX file in the form in which it trains, with random weights or those of a file.',
    )
    .argument('[name]', 'a network')
    .option('-o, --output <file>', 'where to write it')
    .option('--classes <n>', 'outputs of the last layer', wholeNumber)
    .option('--seed <n>', 'of the random weights (default: 0)', wholeNumber)
    .option('--batch <n>', 'size of the batch axis, or a name to leave it open (default: N)', batchSize)
    .option('--weights <file>', 'trained weights: .safetensors, .npz or .onnx')
    .option('--map <pattern=name>', 'rename tensors of the file, * for any text; may be repeated', renaming)
    .option('--partial', 'load what fits and leave the rest random')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nExamples:
  fewbit zoo
  fewbit zoo resnet20
  fewbit zoo resnet20 -o float.onnx --seed 1
  fewbit zoo resnet18 -o float.onnx --weights resnet18.safetensors
  fewbit zoo mobilenet-v2 -o float.onnx --classes 10 --weights pretrained.safetensors --map 'module.*=*' --partial`,
    )
    .action(action(invocation, body))
}
