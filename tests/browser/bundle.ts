import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/**
 * What stands in for modules that a page does not have: vitest's own tests run on its runner, the engine is ONNX Runtime Web, whose files the
 * server has, and Node's modules are empty (the test kit reads conformance cases from disk, which no test here asks for).
 */
const stand: Plugin = {
  name: 'stand-ins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^vitest$/ }, () => ({ path: here('page/vitest.ts') }))
    onResolve({ filter: /^@fewbit\/engine-node$/ }, () => ({ path: here('page/engine-node.ts') }))
    onResolve({ filter: /^(#wasm|onnxruntime-web\/wasm)$/ }, () => external('ort.wasm.min.mjs'))
    onResolve({ filter: /^onnxruntime-web\/webgpu$/ }, () => external('ort.webgpu.min.mjs'))
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'nothing' }))
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {}', loader: 'js' }))
  },
}

const external = (file: string) => ({ path: `/ort/${file}`, external: true })

/**
 * The scripts of a page that runs test files, by name; `tests.js` is the first, and gives the page a function `runFile(path)`.
 * @param files paths from the root of the repository.
 */
export async function bundleTests(files: readonly string[]): Promise<Map<string, Uint8Array>> {
  const imports = files.map((file) => `${JSON.stringify(file)}: () => import(${JSON.stringify(`./${file}`)}),`)
  const contents = [
    "import { runFile } from './tests/browser/page/run.ts'",
    `const files = { ${imports.join('\n')} }`,
    'globalThis.runFile = (path) => runFile(path, files[path])',
  ].join('\n')
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: here('../..'), sourcefile: 'tests.ts', loader: 'ts' },
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    outdir: here('out'),
    entryNames: 'tests',
    tsconfig: here('../../tsconfig.tools.json'),
    plugins: [stand],
    // Stack traces of failures should name sources.
    minify: false,
  })
  return new Map(outputFiles.map(({ path, contents: bytes }) => [path.slice(here('out/').length), bytes]))
}
