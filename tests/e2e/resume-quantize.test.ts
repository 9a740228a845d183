import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, isBuilt, start } from './harness.ts'
import { smallCnn } from './networks.ts'
import { npz } from './numpy.ts'

const work = new Folder()
const at = (name: string) => work.at(name)

beforeAll(async () => {
  await saveModel(smallCnn(), at('small.onnx'))
  const data = Uint8Array.from({ length: 64 * 192 }, (_, i) => (i * 7919 + (i % 13) * (i % 17) * 31) % 256)
  work.put('calib.npz', npz({ x: { dtype: 'uint8', shape: [64, 8, 8, 3], data } }))
})

describe.skipIf(!isBuilt || process.platform === 'win32')('a quantization that is killed (needs npm run build)', () => {
  /** Long enough that a kill meets the second block. */
  const LONG = 'brecq:granularity=layer,iterations=150'
  const command = (output: string, ...more: string[]) => {
    const how = [
      '--target',
      'academic',
      '--scheme',
      'w4a4',
      '--samples',
      '64',
      '--observer',
      'minmax',
      '--preset',
      'unit',
      '--algorithm',
      LONG,
    ]
    return ['quantize', at('small.onnx'), '--data', at('calib.npz'), ...how, '-o', at(output), ...more]
  }
  const run = (output: string, ...more: string[]) => start(command(output, '--json', ...more), work.path)

  /** Ends a run as soon as its first block is kept. */
  async function stopped(output: string, signal: 'SIGKILL' | 'SIGINT') {
    const { child, outcome } = run(output)
    const checkpoint = at(output.replace('.onnx', '.quantize.safetensors'))
    const look = setInterval(() => {
      if (!existsSync(checkpoint)) return
      clearInterval(look)
      child.kill(signal)
    }, 5)
    const result = await outcome
    clearInterval(look)
    return result
  }

  it('goes on after kill -9 to the same bytes', { timeout: 120_000 }, async () => {
    const whole = await run('whole.onnx').outcome
    expect(whole.code).toBe(0)
    const { details } = JSON.parse(whole.out).report.algorithms[0]
    expect(details.units.length).toBeGreaterThan(1)
    await stopped('killed.onnx', 'SIGKILL')
    expect(existsSync(at('killed.onnx'))).toBe(false)
    expect(readdirSync(work.path).filter((name) => name.startsWith('killed'))).toEqual(['killed.quantize.safetensors'])

    await failsCleanly(work, 'CHECKPOINT_EXISTS', 1, command('killed.onnx'))
    const { err } = await failsCleanly(work, 'CHECKPOINT_OTHER', 1, command('killed.onnx', '--resume', '--seed', '2'))
    expect(err).toMatch(/made with other settings: seed$/m)

    const rest = await run('killed.onnx', '--resume', '--keep-checkpoint').outcome
    expect(rest.code).toBe(0)
    expect(JSON.parse(rest.out).report.algorithms[0].details).toEqual(details)
    expect(readFileSync(at('killed.onnx'))).toEqual(readFileSync(at('whole.onnx')))
    expect(existsSync(at('killed.quantize.safetensors'))).toBe(true)
  })

  it('tells of the checkpoint on Ctrl-C, of blocks and of the time left', { timeout: 120_000 }, async () => {
    const { code, err } = await stopped('stopped.onnx', 'SIGINT')
    expect(code).toBe(130)
    expect(err).toMatch(/a checkpoint stands in .*stopped\.quantize\.safetensors: with --resume/)
    const rest = await run('stopped.onnx', '--resume').outcome
    expect(rest.err).toMatch(/^brecq: .*, block (\d+)\/\1, 0 s left$/m)
    expect(existsSync(at('stopped.quantize.safetensors'))).toBe(false)
  })
})
