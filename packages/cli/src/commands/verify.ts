import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type CertifiedModel, DEFAULT_SAMPLES, verify } from '@fewbit/core/pipeline'
import { loadModel } from '@fewbit/engine-node'
import { renderCertificate } from '@fewbit/report'
import type { Command } from 'commander'
import { checkPage, writeText } from '../artifacts.ts'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { commandLine } from '../command-line.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { checkEngineNames, ENGINES, openEngines } from '../engines/index.ts'
import { EXIT } from '../failure.ts'
import { renderVerification } from '../render/verification.ts'
import { type ToleranceFlags, toleranceOf, withToleranceFlags } from './comparing.ts'

interface Flags extends DataFlags, ToleranceFlags {
  data: string
  engines: string[]
  samples?: number
  intermediate?: true
  html?: string
}

const DEFAULT_ENGINES = ['node-cpu', 'wasm', 'integer:ort']

const body: CommandBody<[string, string, Flags]> = async (cx, floatFile, quantizedFile, flags) => {
  const { html, samples, intermediate } = flags
  if (html !== undefined) checkPage(html, [floatFile, quantizedFile])
  checkEngineNames(flags.engines)
  const [float, quantized] = [await loadModel(floatFile), await loadModel(quantizedFile)]
  const { engines, close } = await openEngines(flags.engines)
  try {
    const certificate = await verify(float, quantized, {
      ...cx.run,
      ...toleranceOf(flags),
      engines,
      data: await openData(flags.data, float, flags, cx, samples ?? DEFAULT_SAMPLES.verify),
      models: { float: await certified(floatFile), quantized: await certified(quantizedFile) },
      ...(samples ? { samples } : {}),
      ...(intermediate ? { intermediate } : {}),
    })
    const json = { ...certificate, command: commandLine() }
    if (html !== undefined) writeText(html, renderCertificate(json))
    const wrote = html === undefined ? [] : [`wrote ${html}`]
    const text = [renderVerification(certificate), ...wrote].join('\n')
    return { json, text, exitCode: certificate.verdict === 'agree' ? EXIT.ok : EXIT.floorMissed }
  } finally {
    await close()
  }
}

async function certified(file: string): Promise<CertifiedModel> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return { name: file, digest: hash.digest('hex') }
}

const list = (text: string): string[] => text.split(',').map((name) => name.trim())

export function verifyCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('verify')
    .summary('that engines agree on a quantized model, with a certificate')
    .description(
      'Runs a float and its quantized model on several engines, compares what they give, and names the first node that differs and, where it is known, the cause. The exit code is 3 if engines disagree.',
    )
    .argument('<float>', 'the float ONNX file')
    .argument('<quantized>', 'the quantized ONNX file')
    .requiredOption('--data <path>', 'image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option(
      '--engines <list>',
      `comma-separated, the first one is the reference (default ${DEFAULT_ENGINES.join(',')})`,
      list,
      DEFAULT_ENGINES,
    )
    .option(
      '--samples <n>',
      `at most this many samples, evenly spread over the data (default ${DEFAULT_SAMPLES.verify})`,
      positiveInteger,
    )
    .option('--intermediate', 'compare every tensor, also where the outputs agree')
    .option('--html <file>', 'also write the certificate as one HTML file that needs no network')
    .option('--json', 'print the certificate as one JSON document')
    .addHelpText('after', `\nEngines:\n${engineList()}`)
    .addHelpText(
      'after',
      '\nExample:\n  fewbit verify model.onnx model.int8.onnx --data calib/ --engines node-cpu,wasm,webgpu --html certificate.html',
    )
  withDataFlags(withToleranceFlags(command)).action(action(invocation, body))
}

const engineList = (): string =>
  Object.entries(ENGINES)
    .map(([name, { summary }]) => `  ${name.padEnd(18)}${summary}`)
    .join('\n')
