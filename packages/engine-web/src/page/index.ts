/** The script of a page that runs models for a program: it fetches orders, one at a time, and posts answers. */
import type { Session } from '@fewbit/core/engine'
import { type Diagnostic, FewbitError, must } from '@fewbit/core/util'
import { decodeMessage, encodeMessage, packTensors, unpackTensors } from '../message.ts'
import type { Answer, Order } from '../protocol.ts'
import { webEngine } from '../web-engine.ts'
import { webGpuAdapter } from '../webgpu-adapter.ts'

const sessions = new Map<number, Session>()

async function start(): Promise<void> {
  const settings = new URLSearchParams(location.search)
  const provider = settings.get('provider') === 'webgpu' ? 'webgpu' : 'wasm'
  const threads = Number(settings.get('threads'))
  const options = { provider, assets: `${location.origin}/ort/`, ...(threads > 0 && { threads }) } as const
  const engine = await webEngine(options).catch(failed)
  if (!('load' in engine)) return post({ error: engine })
  const adapter = provider === 'webgpu' ? await webGpuAdapter() : undefined
  const about = adapter && [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(' ')
  const { name, version, capabilities } = engine
  await post({ ready: { name, version, threads: capabilities.threads, ...(about && { adapter: about }) } })
  for (;;) {
    const response = await fetch('/order')
    // The program has ended.
    if (response.status !== 200) return
    const { head, body } = decodeMessage<Order>(new Uint8Array(await response.arrayBuffer()))
    await obey(head, body).catch(async (error) => post({ error: failed(error) }))
  }

  async function obey(order: Order, body: Uint8Array): Promise<void> {
    if (order.kind === 'load') return load(body, order.options)
    const session = must(sessions.get(order.session), 'session')
    if (order.kind === 'release') {
      sessions.delete(order.session)
      await session.release()
      return post({})
    }
    const outputs = await session.run(unpackTensors(order.feeds, body), order.wanted)
    const { heads, body: bytes } = packTensors(outputs)
    return post({ outputs: heads }, bytes)
  }

  async function load(model: Uint8Array, loading: Extract<Order, { kind: 'load' }>['options']): Promise<void> {
    if (!('load' in engine)) return
    const session = await engine.load(model, loading)
    const id = sessions.size === 0 ? 0 : Math.max(...sessions.keys()) + 1
    sessions.set(id, session)
    const { inputs, outputs } = session
    return post({ loaded: { session: id, inputs, outputs } })
  }
}

async function post(answer: Answer, body?: Uint8Array): Promise<void> {
  await fetch('/answer', { method: 'POST', body: encodeMessage(answer, body) })
}

function failed(error: unknown): readonly Diagnostic[] {
  if (error instanceof FewbitError) return error.diagnostics
  return [{ code: 'ENGINE_RUN', level: 'error', message: `the page failed: ${String(error)}` }]
}

await start()
