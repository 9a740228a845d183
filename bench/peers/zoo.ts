/**
 * The networks of the zoo in PyTorch: parameters, multiply-accumulates and outputs with weights that a formula makes, which the zoo's tests compare
 * with.
 *
 *   npm run bench:peers:zoo
 *
 * Makes a Python environment in .cache/zoo with pip (gigabytes: torchvision wants its own PyTorch); says so and stops where that cannot be had.
 * Writes packages/core/src/zoo/zoo-peers.json.golden.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ensurePython, lastLine, pythonOf } from '../lib/python.ts'

const ENV = {
  folder: fileURLToPath(new URL('../../.cache/zoo', import.meta.url)),
  packages: ['torch==2.14.1', 'torchvision==0.29.1', 'timm==1.0.31'],
  module: 'timm',
}
const SCRIPT = fileURLToPath(new URL('zoo.py', import.meta.url))
const GOLDEN = fileURLToPath(new URL('../../packages/core/src/zoo/zoo-peers.json.golden', import.meta.url))

const missing = ensurePython(ENV)
if (missing !== undefined) {
  console.error(`skipped: ${missing}`)
} else {
  const run = spawnSync(pythonOf(ENV), [SCRIPT], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(lastLine(run))
  writeFileSync(GOLDEN, run.stdout)
  console.log(`wrote ${GOLDEN}`)
}
