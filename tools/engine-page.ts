// Bundles the page of packages/engine-web: its script as a string of one module. ONNX Runtime Web itself is served beside it.
import { build, type Plugin } from 'esbuild'
import type { Plugin as VitePlugin } from 'vitest/config'

const ENGINE_PAGE = '@fewbit/engine-web/page'

const served: Plugin = {
  name: 'served-beside',
  setup({ onResolve }) {
    onResolve({ filter: /^(#wasm|onnxruntime-web\/wasm)$/ }, () => ({ path: '/ort/ort.wasm.min.mjs', external: true }))
    onResolve({ filter: /^onnxruntime-web\/webgpu$/ }, () => ({ path: '/ort/ort.webgpu.min.mjs', external: true }))
  },
}

/** The text of the module `@fewbit/engine-web/page`. */
export async function enginePage(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ['packages/engine-web/src/page/index.ts'],
    bundle: true,
    minify: true,
    write: false,
    charset: 'utf8',
    format: 'esm',
    target: 'es2022',
    // Its paths lead to sources, which may be newer than what was built.
    tsconfig: 'tsconfig.tools.json',
    plugins: [served],
  })
  return `export const SCRIPT = ${JSON.stringify(outputFiles[0]?.text)}\n`
}

/** For vitest: the page of the sources as they are now, so that a stale build cannot make a test pass. */
export const enginePagePlugin = (): VitePlugin => ({
  name: 'engine-page',
  enforce: 'pre',
  resolveId: (id) => (id === ENGINE_PAGE ? `\0${id}` : undefined),
  load: (id) => (id === `\0${ENGINE_PAGE}` ? enginePage() : undefined),
})
