import { nodeEngine } from '@fewbit/engine-node'
import { engineContract } from '@fewbit/testkit'
import { describe, it } from 'vitest'

describe('the contract of engines', () => {
  it.each(engineContract(nodeEngine))('$name', ({ run }) => run())
})
