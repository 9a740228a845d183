import { fileURLToPath } from 'node:url'
import type { Engine } from '@fewbit/core/engine'
import { must } from '@fewbit/core/util'
import { answerOf, type Ready, remoteEngine } from '@fewbit/engine-web'
import type { EngineSource } from './engine-source.ts'
import { exportedEngine } from './exported-engine.ts'
import type { ExportedForm } from './exported-network.ts'
import { PythonHost } from './python-host.ts'

const ASSETS = new URL('../../assets/', import.meta.url)

/**
 * An engine by its Python package, in the interpreter that FEWBIT_PYTHON names, or python3.
 * @param script a host in `assets`, and its arguments.
 */
function hosted(
  summary: string,
  script: readonly [string, ...string[]],
  adapt = (engine: Engine) => engine,
): EngineSource {
  return {
    summary: `${summary}, by its Python package`,
    async open() {
      const { ready, ...opened } = await started(script)
      let { host } = opened
      const ask = async (order: Uint8Array): Promise<Uint8Array> => {
        try {
          return await host.ask(order)
        } catch (error) {
          // Converters end their program where they meet what they do not expect. The next network may do.
          const again = await started(script).catch(() => undefined)
          if (again) host = again.host
          throw error
        }
      }
      return { engine: adapt(remoteEngine(ready, 'CPU', ask)), close: () => host.close() }
    },
  }
}

/** A program that has introduced itself. @throws FewbitError ENGINE_LOAD with what is missing. */
async function started([file, ...args]: readonly [string, ...string[]]): Promise<{ host: PythonHost; ready: Ready }> {
  const path = fileURLToPath(new URL(file, ASSETS))
  const host = new PythonHost(process.env.FEWBIT_PYTHON ?? 'python3', [path, ...args])
  try {
    return { host, ready: must(answerOf(await host.answer()).head.ready, 'greeting') }
  } catch (error) {
    await host.close()
    throw error
  }
}

const exported = (form: ExportedForm) => (engine: Engine) => exportedEngine(engine, form)
const LITERT: ExportedForm = { title: 'LiteRT', target: 'tflite' }

/** Engines whose Python packages are asked for by name. */
export const PYTHON_ENGINES = {
  openvino: hosted('OpenVINO on the processor', ['openvino_host.py']),
  litert: hosted('LiteRT with its own kernels', ['litert_host.py'], exported(LITERT)),
  'litert-xnnpack': hosted('LiteRT as it comes, with XNNPACK', ['litert_host.py', 'xnnpack'], exported(LITERT)),
  ncnn: hosted(
    'ncnn on the processor',
    ['ncnn_host.py'],
    exported({ title: 'ncnn', target: 'ncnn', quantizesReads: true }),
  ),
  mnn: hosted('MNN on the processor', ['mnn_host.py'], exported({ title: 'MNN', target: 'mnn' })),
} satisfies Readonly<Record<string, EngineSource>>
