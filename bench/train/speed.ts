/**
 * Training steps of CIFAR ResNet-20, batch 64, beside PyTorch: images per second, processor time and peak memory, in one run.
 *
 *   npm run bench:train [-- --modes float,fake8,lsq4 --rounds 3 --steps 20 --threads 2]
 *
 * Every round starts a process for each row in turn, so that a busy machine is busy for all; of each row the best median of the rounds counts. PyTorch runs in
 * both layouts, and the faster one is what is compared with. fake8: 8 bits on frozen scales, per channel for weights; lsq4: LSQ, 4 bits. BatchNormalization
 * trains by itself in all. On a busy machine `--threads 1` and processor time say more than images per second. Makes a Python environment in .cache/train with pip; says so and stops where that cannot be had. Results replace those of the same number of
 * threads in bench/results/train.json.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ensurePython, lastLine, pythonOf } from '../lib/python.ts'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const ENV = { folder: at('../../.cache/train'), packages: ['torch==2.13.0', 'numpy==2.4.6'], module: 'torch' }
const RESULTS = at('../results/train.json')
const BATCH = 64
const WARMUP = 5
const LAYOUTS = ['channels_last', 'nchw']

const { values: args } = parseArgs({
  options: {
    modes: { type: 'string', default: 'float,fake8,lsq4' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '20' },
    threads: { type: 'string', default: '2' },
  },
})

interface Measured {
  readonly ms: readonly number[]
  readonly cpuMs: number
  readonly peakMegabytes: number
}

/** A row's best round. */
interface Best {
  ms: number
  cpuMs: number
  peakMegabytes: number
}

function measure(command: string, words: readonly string[]): Measured {
  const run = spawnSync(command, [...words, `${BATCH}`, `${WARMUP}`, args.steps, args.threads], { encoding: 'utf8' })
  if (run.error || run.status !== 0) throw new Error(lastLine(run))
  return JSON.parse(run.stdout.trim().split('\n').at(-1) as string)
}

const TSX = [at('../../node_modules/tsx/dist/cli.mjs'), '--tsconfig', at('../../tsconfig.tools.json'), at('ours.ts')]
const ROWS: Readonly<Record<string, (mode: string) => Measured>> = {
  fewbit: (mode) => measure(process.execPath, [...TSX, mode]),
  ...Object.fromEntries(
    LAYOUTS.map((layout) => [
      `torch ${layout}`,
      (mode: string) => measure(pythonOf(ENV), [at('step.py'), mode, layout]),
    ]),
  ),
}

function better(known: Best | undefined, { ms, cpuMs, peakMegabytes }: Measured): Best {
  const median = [...ms].sort((a, b) => a - b)[ms.length >> 1] ?? Number.NaN
  return {
    ms: Math.min(known?.ms ?? Number.POSITIVE_INFINITY, median),
    cpuMs: Math.min(known?.cpuMs ?? Number.POSITIVE_INFINITY, cpuMs),
    peakMegabytes: Math.max(known?.peakMegabytes ?? 0, peakMegabytes),
  }
}

const failure = ensurePython(ENV)
if (failure) {
  console.error(`no Python environment: ${failure}`)
  process.exit(1)
}
const best = new Map<string, Best>()
const modes = args.modes.split(',')
for (let round = 0; round < Number(args.rounds); round++) {
  for (const mode of modes) {
    for (const [row, run] of Object.entries(ROWS))
      best.set(`${mode} ${row}`, better(best.get(`${mode} ${row}`), run(mode)))
  }
}
const digits = (v: number, n = 3) => Number(v.toPrecision(n))
const table = modes.map((mode) => {
  const of = (row: string) => best.get(`${mode} ${row}`) as Best
  const ours = of('fewbit')
  const theirs = LAYOUTS.map((layout) => ({ layout, ...of(`torch ${layout}`) })).sort((a, b) => a.ms - b.ms)
  const [peer] = theirs as [Best & { layout: string }]
  return {
    mode,
    imagesPerSecond: digits((1000 * BATCH) / ours.ms),
    torch: digits((1000 * BATCH) / peer.ms),
    layout: peer.layout,
    speed: digits(peer.ms / ours.ms),
    cpuMs: digits(ours.cpuMs),
    torchCpuMs: digits(Math.min(...theirs.map(({ cpuMs }) => cpuMs))),
    peakMegabytes: Math.round(ours.peakMegabytes),
    torchPeakMegabytes: Math.round(peer.peakMegabytes),
  }
})
console.table(table)
const known = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {}
const results = { ...known, [`${args.threads} threads`]: table }
writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`)
