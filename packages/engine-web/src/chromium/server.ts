import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { SCRIPT } from '@fewbit/engine-web/page'

const ORT = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'))
const ORT_FILE = /^\/ort\/([\w.-]+\.(?:mjs|wasm))$/
const PAGE =
  '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'

/**
 * The program's end of the line to a page: serves the page and ONNX Runtime Web on this machine only, gives out orders, and takes answers. The
 * page is isolated from other origins, so that threads can share memory.
 */
export class PageServer {
  readonly #server = createServer((request, response) => this.#serve(request, response))
  #orders: Uint8Array[] = []
  #waitingPage: ServerResponse | undefined
  #waitingProgram: { resolve: (answer: Uint8Array) => void; reject: (error: Error) => void } | undefined

  /** @returns the address of the page. */
  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', () => {
        resolve(`http://127.0.0.1:${(this.#server.address() as { port: number }).port}/`)
      })
    })
  }

  /** Gives an order, and waits for the answer to it. */
  ask(order: Uint8Array): Promise<Uint8Array> {
    this.#orders.push(order)
    this.#giveOrder()
    return this.answer()
  }

  answer(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waitingProgram = { resolve, reject }
    })
  }

  /** The page is gone: nobody will answer. */
  fail(error: Error): void {
    this.#waitingProgram?.reject(error)
    this.#waitingProgram = undefined
  }

  close(): void {
    this.#waitingPage?.writeHead(204).end()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp')
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === '/answer') this.#take(request, response)
    else if (pathname === '/order') this.#wait(response)
    else this.#file(pathname, response)
  }

  #file(path: string, response: ServerResponse): void {
    const [, name] = ORT_FILE.exec(path) ?? []
    if (path === '/') response.setHeader('Content-Type', 'text/html').end(PAGE)
    else if (path === '/page.js') response.setHeader('Content-Type', 'text/javascript').end(SCRIPT)
    else if (name === undefined) response.writeHead(404).end()
    else {
      response.setHeader('Content-Type', name.endsWith('wasm') ? 'application/wasm' : 'text/javascript')
      response.end(readFileSync(join(ORT, name)))
    }
  }

  #wait(response: ServerResponse): void {
    this.#waitingPage = response
    this.#giveOrder()
  }

  #giveOrder(): void {
    const order = this.#waitingPage && this.#orders.shift()
    if (!order) return
    this.#waitingPage?.end(order)
    this.#waitingPage = undefined
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      response.end()
      this.#waitingProgram?.resolve(new Uint8Array(Buffer.concat(parts)))
      this.#waitingProgram = undefined
    })
  }
}
