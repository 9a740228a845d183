import type { Export, QuantizeResult } from '@fewbit/core/pipeline'
import { saveModel } from '@fewbit/engine-node'
import { type Destination, type Written, writeExport } from './artifacts.ts'

/** A backend that reads no ONNX is simulated by one, which `evaluate` and `analyze` take. */
export async function writeResult(
  result: Pick<QuantizeResult, 'model' | 'plan'> & { readonly recipe?: QuantizeResult['recipe'] },
  exported: Export,
  destination: Destination,
): Promise<Written> {
  const { kind, path } = destination
  const isModel = exported.artifacts.length === 1 && exported.artifacts[0]?.kind === 'model'
  if (kind === 'folder' || isModel || !/\.onnx$/i.test(path)) return writeExport(exported, destination, result)
  await saveModel(result.model, path)
  const message = `${result.plan.target} reads other files: this one simulates it, for evaluate and analyze`
  const fix = 'name a folder with -o to get what the backend reads'
  return {
    output: path,
    diagnostics: [{ code: 'OUTPUT_SIMULATION', level: 'warning', message, at: { file: path }, fix }],
  }
}
