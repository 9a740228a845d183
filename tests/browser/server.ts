import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const ORT = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'))
const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
}
const PAGE =
  '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/tests.js"></script>'

/** Serves a page, its scripts and ONNX Runtime Web, isolated from other origins, so that threads can share memory. */
export async function serve(scripts: ReadonlyMap<string, Uint8Array>): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname.slice(1)
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
    response.setHeader('Content-Type', TYPES[path.split('.').at(-1) ?? ''] ?? 'text/html')
    response.end(path === '' ? PAGE : contentOf(path, scripts))
  })
  const port = await listening(server)
  return { url: `http://localhost:${port}/`, close: () => server.close() }
}

const contentOf = (path: string, scripts: ReadonlyMap<string, Uint8Array>): Uint8Array | undefined =>
  path.startsWith('ort/') ? readFileSync(join(ORT, path.slice('ort/'.length))) : scripts.get(path)

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, 'localhost', () => resolve((server.address() as { port: number }).port))
  })
