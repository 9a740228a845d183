import { spawnSync } from 'node:child_process'
import { plantedInputs, plantedNetwork } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { openEngines } from '../../packages/cli/src/engines/index.ts'

const PYTHON = process.env.FEWBIT_PYTHON ?? 'python3'
const isThere = spawnSync(PYTHON, ['-c', 'import openvino']).status === 0

// `pip install openvino` for the interpreter that FEWBIT_PYTHON names.
describe.skipIf(!isThere)('OpenVINO by its Python package', () => {
  it('runs networks beside ONNX Runtime, and ends', async () => {
    const { engines, close } = await openEngines(['node-cpu', 'openvino'])
    const [feeds] = plantedInputs(1)
    const outputs: number[][] = []
    for (const { engine } of engines) {
      const session = await engine.load(plantedNetwork('float'))
      outputs.push(Array.from((await session.run(feeds!)).y?.numbers() ?? []))
      await session.release()
    }
    const [reference, found] = outputs as [number[], number[]]
    expect(found).toHaveLength(4)
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(reference[i] as number, 4)
    await expect(engines[1]?.engine.load(new Uint8Array([1, 2, 3]))).rejects.toThrow(/ENGINE_LOAD.*OpenVINO/)
    await close()
  })
})

describe.runIf(!isThere)('without the package', () => {
  it('says what is missing', async () => {
    await expect(openEngines(['openvino'])).rejects.toThrow(/ENGINE_ABSENT.*openvino is not at hand/)
  })
})
