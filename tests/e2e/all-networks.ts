/**
 * Drives every real network through every verb of the built command line, each in a process of its own, and prints exit codes
 * and seconds. Needs the shared data (FEWBIT_DATA or ../shared/data). Arguments: names of networks; all without.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Tensor } from '@fewbit/core/ir'
import { loadModel, nodeEngine } from 'fewbit'
import { modelPath, NETWORKS, type Network } from '../../bench/lib/networks.ts'
import { DATA } from '../../bench/lib/shared-data.ts'
import { vadSamples } from '../../bench/lib/vad.ts'
import { type NumpyArray, npz } from './numpy.ts'

const PROGRAM = fileURLToPath(new URL('../../packages/cli/bin/fewbit.js', import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'fewbit-networks-'))
const at = (path: string): string => join(DATA, path)

const RESNET = '--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225'

/** Data and preprocessing flags, and labelled data where there are some. */
const FLAGS: Readonly<Record<string, { data: string; flags?: string; scored?: string }>> = {
  mnist: { data: at('mnist/test.npz'), flags: '--preset raw', scored: at('mnist/test.npz') },
  resnet20: { data: at('cifar10/calib200.npz'), flags: RESNET, scored: at('cifar10/test_lossless322.npz') },
  vit: { data: at('cifar10/calib200.npz'), flags: '--preset cifar10', scored: at('cifar10/test_lossless322.npz') },
  vww: { data: at('coco128/images'), flags: '--preset unit' },
  honk: { data: at('speech_commands/mfcc.npz'), scored: at('speech_commands/mfcc.npz') },
  fastestdet: { data: at('coco128/images'), flags: '--scale 1/255 --channel-order bgr --resize 352x352' },
  squeezenet: { data: at('imagenet256'), flags: '--preset imagenet-caffe', scored: at('imagenet256') },
  rfdn: { data: at('coco128/images'), flags: '--preset raw --resize none --crop 64' },
  llm: { data: at('text/oz_tokens_100x257_i64.npy') },
  vad: { data: join(work, 'vad') },
}

interface Step {
  readonly verb: string
  readonly code: number | null
  readonly seconds: number
  readonly out: string
  readonly err: string
}

function fewbit(verb: string, ...args: string[]): Promise<Step> {
  const start = performance.now()
  const child = spawn(process.execPath, [PROGRAM, ...args])
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ verb, code, seconds: (performance.now() - start) / 1000, out, err }))
  })
}

/** The voice detector has a state: one .npz for each sample, arrays under the names of its inputs. */
async function writeVadSamples(model: string): Promise<void> {
  const folder = FLAGS.vad?.data as string
  mkdirSync(folder, { recursive: true })
  let i = 0
  const samples = await vadSamples(await loadModel(model), nodeEngine(), 'calibrate')
  for await (const sample of samples.samples()) {
    const arrays = Object.entries(sample.feeds).map(([name, tensor]) => [name, toNumpy(tensor)] as const)
    writeFileSync(join(folder, `${String(i++).padStart(3, '0')}.npz`), npz(Object.fromEntries(arrays)))
    if (i === 32) return
  }
}

const toNumpy = (tensor: Tensor): NumpyArray => ({
  dtype: tensor.dtype as NumpyArray['dtype'],
  shape: tensor.dims,
  data: tensor.bytes(),
})

async function walk(network: Network): Promise<Step[]> {
  const model = modelPath(network)
  if (network.name === 'vad') await writeVadSamples(model)
  const { data, flags = '', scored } = FLAGS[network.name] as (typeof FLAGS)[string]
  const file = (suffix: string): string => join(work, `${network.name}${suffix}`)
  const read = ['--data', data, ...flags.split(' ').filter(Boolean)]
  const int8 = file('.int8.onnx')
  const labelled = scored === undefined ? [] : ['--eval-data', scored]
  const steps = [
    await fewbit('inspect', 'inspect', model, '--json'),
    await fewbit('optimize', 'optimize', model, '-o', file('.slim.onnx')),
    await fewbit('plan', 'quantize', model, '--stop-after', 'plan', '-o', file('.plan.json')),
    await fewbit('quantize', 'quantize', model, ...read, ...labelled, '--samples', '32', '-o', int8, '--json'),
    await fewbit('evaluate', 'evaluate', int8, ...read, '--against', model, '--samples', '32'),
    await fewbit('slim', 'evaluate', file('.slim.onnx'), ...read, '--against', model, '--samples', '8', '--json'),
    await fewbit('analyze', 'analyze', model, int8, ...read, '--samples', '8'),
  ]
  for (const [decision, node] of oneNodeOfEach(file('.plan.json')))
    steps.push(await fewbit(`why ${decision}`, 'why', model, '--node', node))
  return steps
}

/** A node for each decision that the plan makes. */
function oneNodeOfEach(plan: string): Map<string, string> {
  const { nodes } = JSON.parse(readFileSync(plan, 'utf8')) as { nodes: { node: string; decision: string }[] }
  return new Map(nodes.map(({ node, decision }) => [decision, node]))
}

function verdict({ code, out, verb }: Step): string {
  if (code !== 0) return `exit code ${code}`
  const isJson = ['inspect', 'quantize', 'slim'].includes(verb)
  try {
    if (isJson) JSON.parse(out)
  } catch {
    return 'not one JSON document'
  }
  return 'ok'
}

async function main(): Promise<number> {
  if (!existsSync(DATA)) {
    console.log('skipped: the shared data are not there (FEWBIT_DATA)')
    return 0
  }
  const wanted = process.argv.slice(2)
  let failures = 0
  for (const network of NETWORKS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    for (const step of await walk(network)) {
      const said = verdict(step)
      console.log(
        `${network.name.padEnd(12)} ${step.verb.padEnd(14)} ${step.seconds.toFixed(1).padStart(6)} s  ${said}`,
      )
      if (said === 'ok') continue
      failures++
      console.log(step.err.trimEnd().replace(/^/gm, '    '))
    }
  }
  console.log(failures === 0 ? 'every network passes every verb' : `${failures} failures`)
  return failures === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} finally {
  rmSync(work, { recursive: true, force: true })
}
