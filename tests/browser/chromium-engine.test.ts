import type { Engine } from '@fewbit/core/engine'
import { type ChromiumEngine, chromiumEngine, findChromium } from '@fewbit/engine-web/chromium'
import { engineContract, randomCnn } from '@fewbit/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error) => error.code,
  )

// `apt-get install chromium`, or CHROMIUM_PATH.
describe.skipIf(findChromium() === undefined).each(['wasm', 'webgpu'] as const)(
  '%s in Chromium for Node',
  (provider) => {
    let chromium: ChromiumEngine
    const engine = (): Engine => chromium.engine
    beforeAll(async () => {
      chromium = await chromiumEngine({ provider })
    })
    afterAll(() => chromium?.close())

    it('says which adapter it runs on', () => {
      expect(chromium.adapter).toEqual(provider === 'webgpu' ? expect.stringMatching(/\w/) : undefined)
      expect(engine().capabilities.providers).toEqual([provider])
    })
    it.each(engineContract(engine))('$name', ({ run }) => run())
    it('reads no files', async () => {
      expect(await codeOf(engine().load({ path: 'x.onnx' }))).toBe('ENGINE_LOAD')
      expect(await codeOf(engine().load(randomCnn(1, ['conv']), { profile: 'x' }))).toBe('ENGINE_FILES')
    })
  },
)

describe('without a browser', () => {
  it('says so', async () => {
    expect(await codeOf(chromiumEngine({ provider: 'wasm', path: '/nowhere/chromium' }))).toBe('CHROMIUM_FAILED')
    expect(await codeOf(chromiumEngine({ provider: 'wasm', path: '/bin/false' }))).toBe('CHROMIUM_FAILED')
  })
})
