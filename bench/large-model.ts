/**
 * Time and memory of reading and re-saving a synthetic 1.9 GB model, each in a process of its own.
 *
 *   npx tsx --tsconfig tsconfig.tools.json bench/large-model.ts [--layers 113] [--json out.json]
 *   PYTHON=venv/bin/python npx tsx …          the same with Python's onnx on the same file, side by side
 *
 * The model is a chain of 2048×2048 float MatMuls with constant weights. Writing needs 4 GB in the temporary folder.
 * The file is read once before the clock starts, so that both tools find it in the page cache. Saving ends with fsync.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { decodeModel, encodeModel, proto, setTensorSource, tensorSource } from '@fewbit/core/onnx'
import { writeAtomically } from '../packages/engine-node/src/atomic-write.ts'
import { fileSource } from '../packages/engine-node/src/files.ts'

interface Figures {
  readonly tool: string
  readonly task: string
  readonly seconds: number
  readonly peakMegabytes: number
}

const WIDTH = 2048
const PYTHON_SCRIPT = `
import json, os, resource, sys, time
import onnx
task, source, target = sys.argv[1:4]
start = time.perf_counter()
model = onnx.load(source)
if task == 'inspect':
    assert len(model.graph.initializer) > 0
else:
    onnx.save(model, target)
    with open(target, 'rb') as f:
        os.fsync(f.fileno())
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({'tool': 'python onnx ' + onnx.__version__, 'task': task, 'seconds': seconds, 'peakMegabytes': peak / 1024}))
`

function writeModel(path: string, layers: number): void {
  const weights = new Float32Array(WIDTH * WIDTH).map((_, i) => ((i * 2654435761) % 1000) / 1000 - 0.5)
  const data = new Uint8Array(weights.buffer)
  const source = { byteLength: data.length, read: () => data }
  const graph = proto.create(proto.GraphProtoSchema, { name: 'chain' })
  for (let i = 0; i < layers; i++) {
    const dims = [BigInt(WIDTH), BigInt(WIDTH)]
    const weight = proto.create(proto.TensorProtoSchema, { name: `w${i}`, dims, dataType: 1 })
    setTensorSource(weight, source)
    graph.initializer.push(weight)
    const node = { opType: 'MatMul', name: `n${i}`, input: [`x${i}`, `w${i}`], output: [`x${i + 1}`] }
    graph.node.push(proto.create(proto.NodeProtoSchema, node))
  }
  graph.input.push(valueInfo('x0'))
  graph.output.push(valueInfo(`x${layers}`))
  const opsetImport = [{ domain: '', version: 21n }]
  const model = proto.create(proto.ModelProtoSchema, { irVersion: 10n, opsetImport, graph })
  writeAtomically(path, (sink) => encodeModel(model, sink))
}

function valueInfo(name: string): proto.ValueInfoProto {
  const dim = [1n, BigInt(WIDTH)].map((value) => ({ value: { case: 'dimValue' as const, value } }))
  const type = { value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim } } } }
  return proto.create(proto.ValueInfoProtoSchema, { name, type })
}

/** Runs in the child: reads the whole structure, and saves a copy for `save`. */
function measureHere(task: string, source: string, target: string): Figures {
  const start = performance.now()
  const model = decodeModel(fileSource(source), { file: source })
  const bytes = model.graph?.initializer.reduce((sum, tensor) => sum + tensorSource(tensor).byteLength, 0)
  if (!bytes) throw new Error('the model has no weights')
  if (task === 'save') writeAtomically(target, (sink) => encodeModel(model, sink))
  const seconds = (performance.now() - start) / 1000
  return { tool: 'fewbit', task, seconds, peakMegabytes: process.resourceUsage().maxRSS / 1024 }
}

function run(command: string, args: readonly string[]): Figures {
  const child = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.status !== 0) throw new Error(`${command} ended with ${child.status ?? child.signal}`)
  return JSON.parse(child.stdout) as Figures
}

function measureAll(source: string, target: string): Figures[] {
  const script = fileURLToPath(import.meta.url)
  const python = process.env.PYTHON
  const figures: Figures[] = []
  for (const task of ['inspect', 'save']) {
    figures.push(run(process.execPath, [...process.execArgv, script, '--child', task, source, target]))
    rmSync(target, { force: true })
    if (python) figures.push(run(python, ['-c', PYTHON_SCRIPT, task, source, target]))
    rmSync(target, { force: true })
  }
  return figures
}

function main(layers: number, json: string | undefined): void {
  const folder = mkdtempSync(join(tmpdir(), 'fewbit-large-'))
  try {
    const source = join(folder, 'large.onnx')
    writeModel(source, layers)
    const file = fileSource(source)
    for (let at = 0; at < file.size; at += 1 << 24) file.read(at, Math.min(1 << 24, file.size - at))
    process.stdout.write(`${layers} MatMuls of ${WIDTH}×${WIDTH}, ${(file.size / 1e9).toFixed(2)} GB\n`)
    file.close()
    const figures = measureAll(source, join(folder, 'copy.onnx'))
    for (const { tool, task, seconds, peakMegabytes } of figures) {
      const columns = [tool.padEnd(22), task.padEnd(8), `${seconds.toFixed(2)} s`.padStart(9)]
      process.stdout.write(`${columns.join(' ')} ${peakMegabytes.toFixed(0).padStart(6)} MiB peak\n`)
    }
    const document = JSON.stringify({ layers, figures }, null, 2)
    if (json) writeFileSync(json, `${document}\n`)
    else process.stdout.write(`${document}\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: 'string', default: '113' },
    json: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
})
if (values.child) {
  const [task = '', source = '', target = ''] = positionals
  process.stdout.write(JSON.stringify(measureHere(task, source, target)))
} else main(Number(values.layers), values.json)
