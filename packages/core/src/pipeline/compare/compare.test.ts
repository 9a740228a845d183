import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, PLANTED_FAULTS, plantedInputs, plantedNetwork } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, Tensor } from '../../ir/index.ts'
import { compare } from './compare.ts'

const options = { engine: nodeEngine({ threads: 1 }), data: memoryData(plantedInputs(4)), samples: 4 }

function faulty(plant: (model: Model) => void): Model {
  const model = plantedNetwork('quantized')
  plant(model)
  return model
}

/** Another tool's names. */
function renamed(): Model {
  const model = plantedNetwork('quantized')
  for (const [i, node] of [...model.graph.nodes].entries()) {
    node.name = `n${i}`
    for (const value of node.outputs) if (value) value.name = `t${i}`
  }
  return model
}

describe('compare', () => {
  it.each(PLANTED_FAULTS)('finds $name between two quantized networks', async ({ node, cause, plant }) => {
    const found = await compare(plantedNetwork('quantized'), faulty(plant), { ...options, intermediate: true })
    expect(found.verdict).toBe('parts')
    const { parting } = found
    // What was planted behind a node took the name of its output; conv1 and its Clip are one kernel.
    expect([parting?.node, parting?.value]).toContain(parting?.node.startsWith('planted') ? `${node}_out` : node)
    if (cause) expect(parting?.causes.map(({ name }) => name)).toContain(cause)
  })

  const SMALL = ['sums in bfloat16', 'sums in float16', 'ties that go up']
  it.each(PLANTED_FAULTS.filter(({ name }) => !SMALL.includes(name)))(
    'finds $name against the float network, where rounding explains the rest',
    async ({ name, node, plant }) => {
      // One scale of conv3 is four times finer than the others here: 15.4 dB, above what eight bits may lose.
      const tolerance = name.startsWith('the scale') ? { tolerance: { sqnr: 20 } } : {}
      const found = await compare(plantedNetwork('float'), faulty(plant), { ...options, ...tolerance })
      expect(found.parting?.node).toBe(node)
    },
  )

  it('takes rounding for what it is', async () => {
    const found = await compare(plantedNetwork('float'), plantedNetwork('quantized'), {
      ...options,
      intermediate: true,
    })
    expect(found.verdict).toBe('rounding')
    expect(found.layers).toHaveLength(7)
    expect(Math.min(...found.layers.map(({ accumulated }) => accumulated.sqnr))).toBeGreaterThan(25)
    expect((await compare(plantedNetwork('quantized'), plantedNetwork('quantized'), options)).verdict).toBe('same')
  })

  it('matches tensors of other names by what they are computed from', async () => {
    const found = await compare(plantedNetwork('quantized'), renamed(), { ...options, intermediate: true })
    expect(found).toMatchObject({ verdict: 'same', matched: { byName: 1, byStructure: 7 } })
    expect(found.layers.every(({ accumulated }) => accumulated.differing === 0)).toBe(true)
    const other = renamed()
    const [clip] = [...other.graph.nodes].filter(({ opType }) => opType === 'Clip')
    clip!.setInput(2, other.graph.addInitializer('lower', Tensor.float32([], [3])))
    const { parting } = await compare(plantedNetwork('quantized'), other, options)
    expect(parting).toMatchObject({ node: clip!.name, as: 'clip1_out' })
  })

  it('refuses networks that take or give other things', async () => {
    const twice = plantedNetwork('quantized')
    twice.graph.outputs.push([...twice.graph.nodes].find(({ name }) => name === 'pool_dq')!.outputs[0]!)
    await expect(compare(plantedNetwork('float'), twice, options)).rejects.toThrow(/COMPARE_OUTPUTS/)
    const other = plantedNetwork('quantized')
    other.graph.inputs[0]!.name = 'z'
    await expect(compare(plantedNetwork('float'), other, options)).rejects.toThrow(/COMPARE_INPUTS/)
  })
})
