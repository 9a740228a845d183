import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CodeTensor, SCHEMES, type SchemeName } from '@fewbit/core/integer'
import { DEFAULT_SAMPLES, type IntegerReport, runIntegers, type SampleCodes } from '@fewbit/core/pipeline'
import { bytesOf } from '@fewbit/core/util'
import { checkFolder, loadModel, npzBytes, writeFolder } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { action, type CommandBody, type CommandContext, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { integerText } from '../render/integers.ts'

interface Flags extends DataFlags {
  data: string
  integer: SchemeName
  samples?: number
  dump?: string
  threads?: number
}

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  if (flags.dump !== undefined) checkFolder(flags.dump)
  const report = flags.dump === undefined ? await run(cx, file, flags) : await dumped(cx, file, flags, flags.dump)
  return { json: { model: file, ...report }, text: integerText(file, report) }
}

async function run(
  cx: CommandContext,
  file: string,
  flags: Flags,
  onCodes?: (codes: SampleCodes) => void,
): Promise<IntegerReport> {
  const model = await loadModel(file)
  const samples = flags.samples ?? DEFAULT_SAMPLES.run
  return runIntegers(model, {
    ...cx.run,
    data: await openData(flags.data, model, flags, cx, samples),
    scheme: flags.integer,
    samples,
    ...(flags.threads && { threads: flags.threads }),
    ...(onCodes && { onCodes }),
  })
}

/** Codes of every layer, an archive for each sample, into a folder that is written whole or not at all. */
async function dumped(cx: CommandContext, file: string, flags: Flags, folder: string): Promise<IntegerReport> {
  let report: IntegerReport | undefined
  const samples: { readonly file: string; readonly id: string }[] = []
  await writeFolder(folder, { arithmetic: flags.integer, model: file }, async (temporary) => {
    report = await run(cx, file, flags, ({ id, layers }) => {
      const name = `${String(samples.length).padStart(4, '0')}.npz`
      writeFileSync(join(temporary, name), npzBytes(arraysOf(layers)))
      samples.push({ file: name, id })
    })
    writeFileSync(join(temporary, 'report.json'), `${JSON.stringify({ ...report, files: samples }, undefined, 2)}\n`)
  })
  return report as IntegerReport
}

/** Four bits take a byte each. */
const wide = (dtype: CodeTensor['dtype']): CodeTensor['dtype'] =>
  dtype === 'int4' ? 'int8' : dtype === 'uint4' ? 'uint8' : dtype

const arraysOf = (layers: ReadonlyMap<string, CodeTensor>) =>
  new Map(
    [...layers].map(([name, { dtype, dims, codes }]) => [name, { dtype: wide(dtype), dims, bytes: bytesOf(codes) }]),
  )

export function runCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('run')
    .summary('run a quantized network in whole numbers, as hardware does')
    .description(
      'Runs a quantized network in the integer arithmetic of one kind of hardware, and compares every layer and output with ONNX Runtime on the same file.',
    )
    .argument('<model>', 'quantized ONNX file')
    .addOption(
      new Option('--integer <arithmetic>', 'whose arithmetic').choices(Object.keys(SCHEMES)).makeOptionMandatory(),
    )
    .requiredOption('--data <path>', 'image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option('--samples <n>', `samples, evenly spread over the data (default ${DEFAULT_SAMPLES.run})`, positiveInteger)
    .option('--threads <n>', 'threads for large layers (default: one per processor)', positiveInteger)
    .option('--dump <folder>', 'write the codes of every layer, one .npz for each sample')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit run model.int8.onnx --integer ort --data val/ --preset imagenet\n  fewbit run model.int8.onnx --integer tflite --data val.npz --dump codes/',
    )
  withDataFlags(command).action(action(invocation, body))
}
